BEGIN TRANSACTION;
CREATE TABLE attempt (
    run         INTEGER NOT NULL REFERENCES run (id),
    step        TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    next_at     INTEGER NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO "attempt" VALUES(1882545196540887041,'insist',1,'failed',1795335003416941,1795335003417056,'ConnectionError: the first attempt fails (/srv/reactor/project.py:88)',1795335032923795);
CREATE TABLE cursor (
    sensor TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (sensor, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "cursor" VALUES('batch of bulk','last',X'31383832353435313936393138333734343030');
INSERT INTO "cursor" VALUES('beat','last',X'323032362D31312D32325430383A31303A30332E3830303030305A');
INSERT INTO "cursor" VALUES('inbox','one.txt',X'00FE00000000000016609800000000000100000000000000B6673267AC4FEA18B6673267AC4FEA18');
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    sensor      TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    workflow    TEXT    NOT NULL DEFAULT '',
    event       INTEGER,
    run         INTEGER REFERENCES run (id),
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    subject     TEXT,
    raw         BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    redriven_at INTEGER
, outgoing TEXT) STRICT;
INSERT INTO "dead_letter" VALUES(1882545194173202433,'deadly','deadly','fatal',1882545194173202432,1882545194173202433,'process_died','the process died 3 times in a row while this run was in flight',NULL,X'7B22746F223A22636861696E227D',1795335003332293,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197004357633,'orders','unfit','bulk',1882545197004357632,NULL,'trigger_failed','where event.data[''to''] == ''bulk'': KeyError: ''to''',NULL,X'7B226E223A317D',1795335003857072,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197004357634,'orders','unfit','chain',1882545197004357632,NULL,'trigger_failed','where event.data[''to''] == ''chain'': KeyError: ''to''',NULL,X'7B226E223A317D',1795335003857072,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197004357635,'orders','unfit','failing',1882545197004357632,NULL,'trigger_failed','where event.data[''to''] == ''failing'': KeyError: ''to''',NULL,X'7B226E223A317D',1795335003857072,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197004357636,'orders','unfit','keyed',1882545197004357632,NULL,'trigger_failed','where event.data[''to''] == ''keyed'': KeyError: ''to''',NULL,X'7B226E223A317D',1795335003857072,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197004357637,'orders','unfit','patient',1882545197004357632,NULL,'trigger_failed','where event.data[''to''] == ''patient'': KeyError: ''to''',NULL,X'7B226E223A317D',1795335003857072,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197004357638,'orders','unfit','single',1882545197004357632,NULL,'trigger_failed','where event.data[''to''] == ''single'': KeyError: ''to''',NULL,X'7B226E223A317D',1795335003857072,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882545197031620608,'orders','cd5be4745b04497b99507bf3f4020d2c','',NULL,NULL,'not_json','the body is not JSON: unexpected end of data: line 1 column 7 (char 6)',NULL,X'7B226E223A20',1795335003883998,NULL,NULL);
CREATE TABLE event_block (
    first        INTEGER PRIMARY KEY,
    last         INTEGER NOT NULL,
    source       TEXT    NOT NULL,
    series       TEXT    NOT NULL,
    first_number INTEGER NOT NULL,
    last_number  INTEGER NOT NULL,
    sensor       TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    accepted_at  INTEGER NOT NULL,
    decisions    TEXT    NOT NULL,
    parts        TEXT    NOT NULL,
    subjects     BLOB    NOT NULL,
    data         BLOB    NOT NULL
) STRICT;
CREATE TABLE "event_row" (
    seq         INTEGER PRIMARY KEY,
    source      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    sensor      TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    subject     TEXT,
    time        INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    data        BLOB    NOT NULL,
    decisions   TEXT    NOT NULL
) STRICT;
INSERT INTO "event_row" VALUES(1882545194173202432,'deadly','deadly','deadly','reactor.webhook.delivery',NULL,1795335001157555,1795335001157743,X'7B22746F223A22636861696E227D','[["fatal","fired","1m814w5250001",""]]');
INSERT INTO "event_row" VALUES(1882545196471681024,'beat','every:200ms@2026-11-22T08:10:03.200000Z','beat','reactor.timer.tick',NULL,1795335003200000,1795335003349031,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430383A31303A30332E3230303030302B30303A3030222C226D6973736564223A31307D','[["beat","fired","1m814w76n0001",""]]');
INSERT INTO "event_row" VALUES(1882545196472729600,'inbox','3b3b6dd93387211d2572997fedb60f5e','inbox','reactor.file.arrived','/srv/reactor/inbox/one.txt',1795335003344889,1795335003350866,X'7B2270617468223A222F7372762F72656163746F722F696E626F782F6F6E652E747874222C226E616D65223A226F6E652E747874222C2273697A655F6279746573223A312C2276657273696F6E223A22666530302D3938363031362D312D313865613466616336373332363762362D31386561346661633637333236376236222C226D6F6469666965645F6174223A22323032362D31312D32325430383A31303A30332E3334343838392B30303A3030222C22706174685F626173653634223A6E756C6C2C226465707468223A317D','[["arrival","fired","1m814w76p0001",""]]');
INSERT INTO "event_row" VALUES(1882545196507332608,'orders','order-0','orders','reactor.webhook.delivery',NULL,1795335003383027,1795335003383396,X'7B22746F223A22636861696E227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''chain''"],["chain","fired","1m814w77q0001",""],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''chain''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''chain''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''chain''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''chain''"]]');
INSERT INTO "event_row" VALUES(1882545196525158400,'beat','every:200ms@2026-11-22T08:10:03.400000Z','beat','reactor.timer.tick',NULL,1795335003400000,1795335003400313,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430383A31303A30332E3430303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m814w7880001",""]]');
INSERT INTO "event_row" VALUES(1882545196540887040,'orders','order-1','orders','reactor.webhook.delivery',NULL,1795335003415017,1795335003415294,X'7B22746F223A2270617469656E74227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''patient''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''patient''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''patient''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''patient''"],["patient","fired","1m814w78q0001",""],["single","refused","where event.data[''to''] == ''single''","data.to = ''patient''"]]');
INSERT INTO "event_row" VALUES(1882545196572344320,'orders','order-2','orders','reactor.webhook.delivery',NULL,1795335003445021,1795335003445276,X'7B22746F223A2273696E676C65222C226E223A307D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m814w79n0001",""]]');
INSERT INTO "event_row" VALUES(1882545196604850176,'orders','order-3','orders','reactor.webhook.delivery',NULL,1795335003476285,1795335003476602,X'7B22746F223A2273696E676C65222C226E223A317D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m814w7am0001",""]]');
INSERT INTO "event_row" VALUES(1882545196634210304,'orders','order-4','orders','reactor.webhook.delivery',NULL,1795335003504175,1795335003504382,X'7B22746F223A2273696E676C65222C226E223A327D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m814w7bg0001",""]]');
INSERT INTO "event_row" VALUES(1882545196662521856,'orders','order-5','orders','reactor.webhook.delivery',NULL,1795335003531255,1795335003531463,X'7B22746F223A2273696E676C65222C226E223A337D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m814w7cb0001",""]]');
INSERT INTO "event_row" VALUES(1882545196690833408,'orders','order-6','orders','reactor.webhook.delivery',NULL,1795335003558437,1795335003558683,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m814w7d60001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882545196724387840,'orders','order-7','orders','reactor.webhook.delivery',NULL,1795335003590754,1795335003590996,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m814w7e60001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882545196735922176,'beat','every:200ms@2026-11-22T08:10:03.600000Z','beat','reactor.timer.tick',NULL,1795335003600000,1795335003601299,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430383A31303A30332E3630303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m814w7eh0001",""]]');
INSERT INTO "event_row" VALUES(1882545196753747968,'orders','order-8','orders','reactor.webhook.delivery',NULL,1795335003617892,1795335003618098,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m814w7f20001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882545196781010944,'orders','order-9','orders','reactor.webhook.delivery',NULL,1795335003644685,1795335003644891,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m814w7fw0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882545196827148288,'orders','order-10','orders','reactor.webhook.delivery',NULL,1795335003688505,1795335003688736,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m814w7h80001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882545196862799872,'orders','order-11','orders','reactor.webhook.delivery',NULL,1795335003722217,1795335003722409,X'7B22746F223A2262756C6B222C226E223A307D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882545196890062848,'orders','order-12','orders','reactor.webhook.delivery',NULL,1795335003748051,1795335003748253,X'7B22746F223A2262756C6B222C226E223A317D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882545196918374400,'orders','order-13','orders','reactor.webhook.delivery',NULL,1795335003775571,1795335003775737,X'7B22746F223A2262756C6B222C226E223A327D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882545196944588800,'beat','every:200ms@2026-11-22T08:10:03.800000Z','beat','reactor.timer.tick',NULL,1795335003800000,1795335003800404,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430383A31303A30332E3830303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m814w7mr0001",""]]');
INSERT INTO "event_row" VALUES(1882545196945637376,'orders','order-14','orders','reactor.webhook.delivery',NULL,1795335003800691,1795335003801450,X'7B22746F223A2262756C6B222C226E223A337D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882545196973948928,'orders','order-15','orders','reactor.webhook.delivery',NULL,1795335003828135,1795335003828341,X'7B22746F223A226661696C696E67227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''failing''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''failing''"],["failing","fired","1m814w7nm0001",""],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''failing''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''failing''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''failing''"]]');
INSERT INTO "event_row" VALUES(1882545197004357632,'orders','unfit','orders','reactor.webhook.delivery',NULL,1795335003856877,1795335003857072,X'7B226E223A317D','[["bulk","failed","where event.data[''to''] == ''bulk''","KeyError: ''to''"],["chain","failed","where event.data[''to''] == ''chain''","KeyError: ''to''"],["failing","failed","where event.data[''to''] == ''failing''","KeyError: ''to''"],["keyed","failed","where event.data[''to''] == ''keyed''","KeyError: ''to''"],["patient","failed","where event.data[''to''] == ''patient''","KeyError: ''to''"],["single","failed","where event.data[''to''] == ''single''","KeyError: ''to''"]]');
CREATE TABLE identity (
    segment INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    event   INTEGER NOT NULL,
    PRIMARY KEY (segment, id, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE identity_filter (
    number INTEGER PRIMARY KEY,
    bits   BLOB NOT NULL
) STRICT;
CREATE TABLE identity_segment (
    number  INTEGER PRIMARY KEY,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    through INTEGER NOT NULL
) STRICT;
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    lane       TEXT    NOT NULL,
    workflow   TEXT    NOT NULL,
    run        INTEGER NOT NULL,
    step       TEXT    NOT NULL,
    part       INTEGER NOT NULL,
    outlet     TEXT    NOT NULL,
    options    TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    key        BLOB,
    attributes TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    workflow    TEXT    NOT NULL,
    event       INTEGER NOT NULL,
    last_event  INTEGER,
    key         TEXT,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'waiting', 'finished')),
    outcome     TEXT    CHECK ((outcome IS NULL) = (state <> 'finished')),
    deaths      INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    error       TEXT
) STRICT;
INSERT INTO "run" VALUES(1882545194173202433,'fatal',1882545194173202432,NULL,NULL,'finished','dead',3,1795335001157743,1795335001157743,1795335003332293,'the process died 3 times in a row while this run was in flight');
INSERT INTO "run" VALUES(1882545196471681025,'beat',1882545196471681024,NULL,NULL,'finished','succeeded',0,1795335003349031,1795335003349031,1795335003353958,NULL);
INSERT INTO "run" VALUES(1882545196472729601,'arrival',1882545196472729600,NULL,NULL,'finished','succeeded',0,1795335003350866,1795335003350866,1795335003364916,NULL);
INSERT INTO "run" VALUES(1882545196507332609,'chain',1882545196507332608,NULL,NULL,'running',NULL,0,1795335003383396,1795335003383396,NULL,NULL);
INSERT INTO "run" VALUES(1882545196525158401,'beat',1882545196525158400,NULL,NULL,'finished','succeeded',0,1795335003400313,1795335003400313,1795335003402293,NULL);
INSERT INTO "run" VALUES(1882545196540887041,'patient',1882545196540887040,NULL,NULL,'waiting',NULL,0,1795335003415294,1795335003415294,NULL,NULL);
INSERT INTO "run" VALUES(1882545196572344321,'single',1882545196572344320,NULL,NULL,'running',NULL,0,1795335003445276,1795335003445276,NULL,NULL);
INSERT INTO "run" VALUES(1882545196604850177,'single',1882545196604850176,NULL,NULL,'pending',NULL,0,1795335003476602,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882545196634210305,'single',1882545196634210304,NULL,NULL,'pending',NULL,0,1795335003504382,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882545196662521857,'single',1882545196662521856,NULL,NULL,'pending',NULL,0,1795335003531463,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882545196690833409,'keyed',1882545196690833408,NULL,'a','running',NULL,0,1795335003558683,1795335003558683,NULL,NULL);
INSERT INTO "run" VALUES(1882545196724387841,'keyed',1882545196724387840,NULL,'a','pending',NULL,0,1795335003590996,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882545196735922177,'beat',1882545196735922176,NULL,NULL,'finished','succeeded',0,1795335003601299,1795335003601299,1795335003603050,NULL);
INSERT INTO "run" VALUES(1882545196753747969,'keyed',1882545196753747968,NULL,'a','pending',NULL,0,1795335003618098,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882545196781010945,'keyed',1882545196781010944,NULL,'b','running',NULL,0,1795335003644891,1795335003646456,NULL,NULL);
INSERT INTO "run" VALUES(1882545196827148289,'keyed',1882545196827148288,NULL,'b','pending',NULL,0,1795335003688736,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882545196919422976,'bulk',1882545196862799872,1882545196918374400,NULL,'running',NULL,0,1795335003776828,1795335003776881,NULL,NULL);
INSERT INTO "run" VALUES(1882545196944588801,'beat',1882545196944588800,NULL,NULL,'finished','succeeded',0,1795335003800404,1795335003800404,1795335003802332,NULL);
INSERT INTO "run" VALUES(1882545196973948929,'failing',1882545196973948928,NULL,NULL,'finished','failed',0,1795335003828341,1795335003828341,1795335003830212,'Reject: no attempt can help (/srv/reactor/project.py:113)');
CREATE TABLE skipped (
    sensor     TEXT    NOT NULL,
    occurrence TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (sensor, occurrence)
) STRICT, WITHOUT ROWID;
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:01.200000Z','missed',1795335001200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:01.400000Z','missed',1795335001400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:01.600000Z','missed',1795335001600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:01.800000Z','missed',1795335001800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:02.200000Z','missed',1795335002200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:02.400000Z','missed',1795335002400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:02.600000Z','missed',1795335002600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:02.800000Z','missed',1795335002800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:02Z','missed',1795335002000000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T08:10:03Z','missed',1795335003000000);
CREATE TABLE step (
    run         INTEGER NOT NULL REFERENCES run (id),
    name        TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    result      BLOB,
    error       TEXT,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "step" VALUES(1882545196471681025,'tick','succeeded',1,1795335003353673,1795335003353923,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882545196472729601,'read','succeeded',1,1795335003355288,1795335003364861,X'22316D38313477373670303030312F7265616422',NULL);
INSERT INTO "step" VALUES(1882545196507332609,'left','succeeded',1,1795335003389009,1795335003389583,X'22316D38313477373771303030312F6C65667422',NULL);
INSERT INTO "step" VALUES(1882545196507332609,'take','succeeded',1,1795335003384974,1795335003385095,X'22316D38313477373771303030312F74616B6522',NULL);
INSERT INTO "step" VALUES(1882545196525158401,'tick','succeeded',1,1795335003402074,1795335003402268,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882545196735922177,'tick','succeeded',1,1795335003602762,1795335003603022,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882545196944588801,'tick','succeeded',1,1795335003802159,1795335003802302,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882545196973948929,'never','skipped',0,1795335003829507,1795335003829507,NULL,'step ''refuse'' failed');
INSERT INTO "step" VALUES(1882545196973948929,'refuse','failed',1,1795335003829429,1795335003829507,NULL,'Reject: no attempt can help (/srv/reactor/project.py:113)');
CREATE TABLE tally (
    subject TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, name, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO "tally" VALUES('sensor','beat','accepted',4);
INSERT INTO "tally" VALUES('sensor','beat','skipped',10);
INSERT INTO "tally" VALUES('sensor','deadly','accepted',1);
INSERT INTO "tally" VALUES('sensor','inbox','accepted',1);
INSERT INTO "tally" VALUES('sensor','orders','accepted',17);
INSERT INTO "tally" VALUES('sensor','orders','rejected',1);
INSERT INTO "tally" VALUES('workflow','arrival','fired',1);
INSERT INTO "tally" VALUES('workflow','beat','fired',4);
INSERT INTO "tally" VALUES('workflow','bulk','fired',1);
INSERT INTO "tally" VALUES('workflow','chain','fired',1);
INSERT INTO "tally" VALUES('workflow','failing','fired',1);
INSERT INTO "tally" VALUES('workflow','fatal','fired',1);
INSERT INTO "tally" VALUES('workflow','keyed','fired',5);
INSERT INTO "tally" VALUES('workflow','patient','fired',1);
INSERT INTO "tally" VALUES('workflow','single','fired',4);
CREATE TABLE workflow (
    name       TEXT    NOT NULL PRIMARY KEY,
    definition TEXT    NOT NULL,
    loaded_at  INTEGER NOT NULL
) STRICT;
INSERT INTO "workflow" VALUES('chain','{"name": "chain", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 45, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''chain''"], "steps": [{"name": "take", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 63}, {"name": "left", "upstream": ["take"], "executor": "thread", "attempts": 1, "timeout": null, "line": 68}, {"name": "right", "upstream": ["take"], "executor": "loop", "attempts": 1, "timeout": null, "line": 73}, {"name": "join", "upstream": ["left", "right"], "executor": "loop", "attempts": 1, "timeout": null, "line": 79}]}',1795335003336335);
INSERT INTO "workflow" VALUES('patient','{"name": "patient", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 46, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''patient''"], "steps": [{"name": "insist", "upstream": [], "executor": "loop", "attempts": 3, "timeout": null, "line": 85}]}',1795335003336335);
INSERT INTO "workflow" VALUES('single','{"name": "single", "owner": "", "description": "", "concurrency": 1, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 47, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''single''"], "steps": [{"name": "serve", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 92}]}',1795335003336335);
INSERT INTO "workflow" VALUES('keyed','{"name": "keyed", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 50, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''keyed'' key data.who"], "steps": [{"name": "visit", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 98}]}',1795335003336335);
INSERT INTO "workflow" VALUES('bulk','{"name": "bulk", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 53, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''bulk'' batch of 3 within 1m"], "steps": [{"name": "load", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 104}]}',1795335003336335);
INSERT INTO "workflow" VALUES('failing','{"name": "failing", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 57, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''failing''"], "steps": [{"name": "refuse", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 111}, {"name": "never", "upstream": ["refuse"], "executor": "loop", "attempts": 1, "timeout": null, "line": 116}]}',1795335003336335);
INSERT INTO "workflow" VALUES('fatal','{"name": "fatal", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 58, "sensors": ["deadly"], "triggers": ["deadly"], "steps": [{"name": "die", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 121}]}',1795335003336335);
INSERT INTO "workflow" VALUES('arrival','{"name": "arrival", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 59, "sensors": ["inbox"], "triggers": ["inbox"], "steps": [{"name": "read", "upstream": [], "executor": "thread", "attempts": 1, "timeout": null, "line": 128}]}',1795335003336335);
INSERT INTO "workflow" VALUES('beat','{"name": "beat", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 60, "sensors": ["beat"], "triggers": ["beat"], "steps": [{"name": "tick", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 133}]}',1795335003336335);
CREATE INDEX run_event ON run (event);
CREATE INDEX run_pending ON run (workflow, id) WHERE state = 'pending';
CREATE INDEX run_pending_key ON run (workflow, key, id) WHERE state = 'pending' AND key IS NOT NULL;
CREATE INDEX run_in_flight ON run (id) WHERE state IN ('running', 'waiting');
CREATE INDEX run_that_died ON run (id) WHERE deaths > 0;
CREATE INDEX run_of_batch ON run (event, last_event) WHERE last_event IS NOT NULL;
CREATE INDEX run_finished ON run (finished_at) WHERE state = 'finished';
CREATE INDEX dead_letter_identity ON dead_letter (sensor, event_id);
CREATE INDEX dead_letter_event ON dead_letter (event) WHERE event IS NOT NULL;
CREATE INDEX dead_letter_run ON dead_letter (run) WHERE run IS NOT NULL;
CREATE INDEX outbox_lane ON outbox (lane, id, workflow);
CREATE UNIQUE INDEX event_block_identity ON event_block (source, series, last_number);
CREATE VIEW event (seq, source, id, sensor, type, subject, time, accepted_at, data, decisions) AS
    SELECT seq, source, id, sensor, type, subject, time, accepted_at, data, decisions FROM event_row
    UNION ALL
    SELECT block.first + part.key, block.source, block.series || number.value, block.sensor, block.type,
           CASE WHEN subject_length.value IS NOT NULL THEN
               coalesce(CAST(substr(block.subjects, subject_start.value + 1, subject_length.value) AS TEXT), '')
           END,
           time.value, block.accepted_at, coalesce(substr(block.data, start.value + 1, length.value), x''), block.decisions
    FROM event_block AS block
    JOIN json_each(block.parts) AS part
    JOIN json_each(part.value) AS number ON number.key = 0
    JOIN json_each(part.value) AS time ON time.key = 1
    JOIN json_each(part.value) AS start ON start.key = 2
    JOIN json_each(part.value) AS length ON length.key = 3
    JOIN json_each(part.value) AS subject_start ON subject_start.key = 4
    JOIN json_each(part.value) AS subject_length ON subject_length.key = 5;
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA application_id = 1380270403;
PRAGMA user_version = 4;
