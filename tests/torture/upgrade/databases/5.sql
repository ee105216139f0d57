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
INSERT INTO "attempt" VALUES(1882561922482569217,'insist',1,'failed',1795350954518091,1795350954518194,'ConnectionError: the first attempt fails (/srv/reactor/project.py:88)',1795350982844816);
CREATE TABLE cursor (
    sensor TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (sensor, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "cursor" VALUES('batch of bulk','last',X'31383832353631393232373939323339313638');
INSERT INTO "cursor" VALUES('beat','last',X'323032362D31312D32325431323A33353A35342E3830303030305A');
INSERT INTO "cursor" VALUES('inbox','one.txt',X'00FE00000000000039609800000000000100000000000000B72EFD4F2E5EEA18B72EFD4F2E5EEA18');
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
INSERT INTO "dead_letter" VALUES(1882561921179189249,'deadly','deadly','fatal',1882561921179189248,1882561921179189249,'process_died','the process died 3 times in a row while this run was in flight',NULL,X'7B22746F223A22636861696E227D',1795350954455769,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922874736641,'orders','unfit','bulk',1882561922874736640,NULL,'trigger_failed','where event.data[''to''] == ''bulk'': KeyError: ''to''',NULL,X'7B226E223A317D',1795350954890367,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922874736642,'orders','unfit','chain',1882561922874736640,NULL,'trigger_failed','where event.data[''to''] == ''chain'': KeyError: ''to''',NULL,X'7B226E223A317D',1795350954890367,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922874736643,'orders','unfit','failing',1882561922874736640,NULL,'trigger_failed','where event.data[''to''] == ''failing'': KeyError: ''to''',NULL,X'7B226E223A317D',1795350954890367,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922874736644,'orders','unfit','keyed',1882561922874736640,NULL,'trigger_failed','where event.data[''to''] == ''keyed'': KeyError: ''to''',NULL,X'7B226E223A317D',1795350954890367,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922874736645,'orders','unfit','patient',1882561922874736640,NULL,'trigger_failed','where event.data[''to''] == ''patient'': KeyError: ''to''',NULL,X'7B226E223A317D',1795350954890367,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922874736646,'orders','unfit','single',1882561922874736640,NULL,'trigger_failed','where event.data[''to''] == ''single'': KeyError: ''to''',NULL,X'7B226E223A317D',1795350954890367,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882561922899902464,'orders','3d55e41b430347f1837798cd0ce9cea1','',NULL,NULL,'not_json','the body is not JSON: unexpected end of data: line 1 column 7 (char 6)',NULL,X'7B226E223A20',1795350954914378,NULL,NULL);
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
INSERT INTO "event_row" VALUES(1882561921179189248,'deadly','deadly','deadly','reactor.webhook.delivery',NULL,1795350953273837,1795350953273977,X'7B22746F223A22636861696E227D','[["fatal","fired","1m81m2z9s0001",""]]');
INSERT INTO "event_row" VALUES(1882561922428043264,'beat','every:200ms@2026-11-22T12:35:54.400000Z','beat','reactor.timer.tick',NULL,1795350954400000,1795350954464857,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325431323A33353A35342E3430303030302B30303A3030222C226D6973736564223A357D','[["beat","fired","1m81m30f00001",""]]');
INSERT INTO "event_row" VALUES(1882561922433286144,'inbox','99bdaf0086cffd7a698eaa3a044304d5','inbox','reactor.file.arrived','/srv/reactor/inbox/one.txt',1795350954464063,1795350954469401,X'7B2270617468223A222F7372762F72656163746F722F696E626F782F6F6E652E747874222C226E616D65223A226F6E652E747874222C2273697A655F6279746573223A312C2276657273696F6E223A22666530302D3938363033392D312D313865613565326534666664326562372D31386561356532653466666432656237222C226D6F6469666965645F6174223A22323032362D31312D32325431323A33353A35342E3436343036332B30303A3030222C22706174685F626173653634223A6E756C6C2C226465707468223A317D','[["arrival","fired","1m81m30f50001",""]]');
INSERT INTO "event_row" VALUES(1882561922455306240,'orders','order-0','orders','reactor.webhook.delivery',NULL,1795350954490052,1795350954490337,X'7B22746F223A22636861696E227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''chain''"],["chain","fired","1m81m30ft0001",""],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''chain''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''chain''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''chain''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''chain''"]]');
INSERT INTO "event_row" VALUES(1882561922482569216,'orders','order-1','orders','reactor.webhook.delivery',NULL,1795350954516526,1795350954516748,X'7B22746F223A2270617469656E74227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''patient''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''patient''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''patient''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''patient''"],["patient","fired","1m81m30gm0001",""],["single","refused","where event.data[''to''] == ''single''","data.to = ''patient''"]]');
INSERT INTO "event_row" VALUES(1882561922508783616,'orders','order-2','orders','reactor.webhook.delivery',NULL,1795350954541759,1795350954541944,X'7B22746F223A2273696E676C65222C226E223A307D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m81m30hd0001",""]]');
INSERT INTO "event_row" VALUES(1882561922534998016,'orders','order-3','orders','reactor.webhook.delivery',NULL,1795350954566432,1795350954566612,X'7B22746F223A2273696E676C65222C226E223A317D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m81m30j60001",""]]');
INSERT INTO "event_row" VALUES(1882561922560163840,'orders','order-4','orders','reactor.webhook.delivery',NULL,1795350954590632,1795350954590803,X'7B22746F223A2273696E676C65222C226E223A327D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m81m30jy0001",""]]');
INSERT INTO "event_row" VALUES(1882561922570649600,'beat','every:200ms@2026-11-22T12:35:54.600000Z','beat','reactor.timer.tick',NULL,1795350954600000,1795350954600617,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325431323A33353A35342E3630303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m81m30k80001",""]]');
INSERT INTO "event_row" VALUES(1882561922586378240,'orders','order-5','orders','reactor.webhook.delivery',NULL,1795350954615718,1795350954615877,X'7B22746F223A2273696E676C65222C226E223A337D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m81m30kq0001",""]]');
INSERT INTO "event_row" VALUES(1882561922611544064,'orders','order-6','orders','reactor.webhook.delivery',NULL,1795350954639230,1795350954639393,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m81m30mf0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882561922636709888,'orders','order-7','orders','reactor.webhook.delivery',NULL,1795350954663059,1795350954663241,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m81m30n70001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882561922661875712,'orders','order-8','orders','reactor.webhook.delivery',NULL,1795350954687221,1795350954687392,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m81m30nz0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882561922685992960,'orders','order-9','orders','reactor.webhook.delivery',NULL,1795350954710713,1795350954710880,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m81m30pp0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882561922725838848,'orders','order-10','orders','reactor.webhook.delivery',NULL,1795350954748359,1795350954748576,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m81m30qw0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882561922749956096,'orders','order-11','orders','reactor.webhook.delivery',NULL,1795350954771404,1795350954771566,X'7B22746F223A2262756C6B222C226E223A307D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882561922774073344,'orders','order-12','orders','reactor.webhook.delivery',NULL,1795350954794621,1795350954794770,X'7B22746F223A2262756C6B222C226E223A317D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882561922781413376,'beat','every:200ms@2026-11-22T12:35:54.800000Z','beat','reactor.timer.tick',NULL,1795350954800000,1795350954801175,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325431323A33353A35342E3830303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m81m30sh0001",""]]');
INSERT INTO "event_row" VALUES(1882561922799239168,'orders','order-13','orders','reactor.webhook.delivery',NULL,1795350954818616,1795350954818781,X'7B22746F223A2262756C6B222C226E223A327D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882561922824404992,'orders','order-14','orders','reactor.webhook.delivery',NULL,1795350954842410,1795350954842670,X'7B22746F223A2262756C6B222C226E223A337D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882561922848522240,'orders','order-15','orders','reactor.webhook.delivery',NULL,1795350954865438,1795350954865632,X'7B22746F223A226661696C696E67227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''failing''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''failing''"],["failing","fired","1m81m30vh0001",""],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''failing''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''failing''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''failing''"]]');
INSERT INTO "event_row" VALUES(1882561922874736640,'orders','unfit','orders','reactor.webhook.delivery',NULL,1795350954890185,1795350954890367,X'7B226E223A317D','[["bulk","failed","where event.data[''to''] == ''bulk''","KeyError: ''to''"],["chain","failed","where event.data[''to''] == ''chain''","KeyError: ''to''"],["failing","failed","where event.data[''to''] == ''failing''","KeyError: ''to''"],["keyed","failed","where event.data[''to''] == ''keyed''","KeyError: ''to''"],["patient","failed","where event.data[''to''] == ''patient''","KeyError: ''to''"],["single","failed","where event.data[''to''] == ''single''","KeyError: ''to''"]]');
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
CREATE TABLE identity_range (
    first        INTEGER PRIMARY KEY,
    last         INTEGER NOT NULL,
    source       TEXT    NOT NULL,
    series       TEXT    NOT NULL,
    first_number INTEGER NOT NULL
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
INSERT INTO "run" VALUES(1882561921179189249,'fatal',1882561921179189248,NULL,NULL,'finished','dead',3,1795350953273977,1795350953273977,1795350954455769,'the process died 3 times in a row while this run was in flight');
INSERT INTO "run" VALUES(1882561922428043265,'beat',1882561922428043264,NULL,NULL,'finished','succeeded',0,1795350954464857,1795350954464857,1795350954466797,NULL);
INSERT INTO "run" VALUES(1882561922433286145,'arrival',1882561922433286144,NULL,NULL,'finished','succeeded',0,1795350954469401,1795350954469401,1795350954472983,NULL);
INSERT INTO "run" VALUES(1882561922455306241,'chain',1882561922455306240,NULL,NULL,'running',NULL,0,1795350954490337,1795350954490337,NULL,NULL);
INSERT INTO "run" VALUES(1882561922482569217,'patient',1882561922482569216,NULL,NULL,'waiting',NULL,0,1795350954516748,1795350954516748,NULL,NULL);
INSERT INTO "run" VALUES(1882561922508783617,'single',1882561922508783616,NULL,NULL,'running',NULL,0,1795350954541944,1795350954541944,NULL,NULL);
INSERT INTO "run" VALUES(1882561922534998017,'single',1882561922534998016,NULL,NULL,'pending',NULL,0,1795350954566612,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882561922560163841,'single',1882561922560163840,NULL,NULL,'pending',NULL,0,1795350954590803,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882561922570649601,'beat',1882561922570649600,NULL,NULL,'finished','succeeded',0,1795350954600617,1795350954600617,1795350954602309,NULL);
INSERT INTO "run" VALUES(1882561922586378241,'single',1882561922586378240,NULL,NULL,'pending',NULL,0,1795350954615877,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882561922611544065,'keyed',1882561922611544064,NULL,'a','running',NULL,0,1795350954639393,1795350954639393,NULL,NULL);
INSERT INTO "run" VALUES(1882561922636709889,'keyed',1882561922636709888,NULL,'a','pending',NULL,0,1795350954663241,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882561922661875713,'keyed',1882561922661875712,NULL,'a','pending',NULL,0,1795350954687392,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882561922685992961,'keyed',1882561922685992960,NULL,'b','running',NULL,0,1795350954710880,1795350954712273,NULL,NULL);
INSERT INTO "run" VALUES(1882561922725838849,'keyed',1882561922725838848,NULL,'b','pending',NULL,0,1795350954748576,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882561922781413377,'beat',1882561922781413376,NULL,NULL,'finished','succeeded',0,1795350954801175,1795350954801175,1795350954803067,NULL);
INSERT INTO "run" VALUES(1882561922800287744,'bulk',1882561922749956096,1882561922799239168,NULL,'running',NULL,0,1795350954819903,1795350954819962,NULL,NULL);
INSERT INTO "run" VALUES(1882561922848522241,'failing',1882561922848522240,NULL,NULL,'finished','failed',0,1795350954865632,1795350954865632,1795350954867353,'Reject: no attempt can help (/srv/reactor/project.py:113)');
CREATE TABLE skipped (
    sensor     TEXT    NOT NULL,
    occurrence TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (sensor, occurrence)
) STRICT, WITHOUT ROWID;
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T12:35:53.400000Z','missed',1795350953400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T12:35:53.600000Z','missed',1795350953600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T12:35:53.800000Z','missed',1795350953800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T12:35:54.200000Z','missed',1795350954200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T12:35:54Z','missed',1795350954000000);
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
INSERT INTO "step" VALUES(1882561922428043265,'tick','succeeded',1,1795350954466556,1795350954466771,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882561922433286145,'read','succeeded',1,1795350954470782,1795350954472938,X'22316D38316D33306635303030312F7265616422',NULL);
INSERT INTO "step" VALUES(1882561922455306241,'left','succeeded',1,1795350954492897,1795350954493508,X'22316D38316D33306674303030312F6C65667422',NULL);
INSERT INTO "step" VALUES(1882561922455306241,'take','succeeded',1,1795350954491776,1795350954491905,X'22316D38316D33306674303030312F74616B6522',NULL);
INSERT INTO "step" VALUES(1882561922570649601,'tick','succeeded',1,1795350954602008,1795350954602286,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882561922781413377,'tick','succeeded',1,1795350954802777,1795350954803043,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882561922848522241,'never','skipped',0,1795350954866896,1795350954866896,NULL,'step ''refuse'' failed');
INSERT INTO "step" VALUES(1882561922848522241,'refuse','failed',1,1795350954866829,1795350954866896,NULL,'Reject: no attempt can help (/srv/reactor/project.py:113)');
CREATE TABLE tally (
    subject TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, name, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO "tally" VALUES('sensor','beat','accepted',3);
INSERT INTO "tally" VALUES('sensor','beat','skipped',5);
INSERT INTO "tally" VALUES('sensor','deadly','accepted',1);
INSERT INTO "tally" VALUES('sensor','inbox','accepted',1);
INSERT INTO "tally" VALUES('sensor','orders','accepted',17);
INSERT INTO "tally" VALUES('sensor','orders','rejected',1);
INSERT INTO "tally" VALUES('workflow','arrival','fired',1);
INSERT INTO "tally" VALUES('workflow','beat','fired',3);
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
INSERT INTO "workflow" VALUES('chain','{"name": "chain", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 45, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''chain''"], "steps": [{"name": "take", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 63}, {"name": "left", "upstream": ["take"], "executor": "thread", "attempts": 1, "timeout": null, "line": 68}, {"name": "right", "upstream": ["take"], "executor": "loop", "attempts": 1, "timeout": null, "line": 73}, {"name": "join", "upstream": ["left", "right"], "executor": "loop", "attempts": 1, "timeout": null, "line": 79}]}',1795350954458937);
INSERT INTO "workflow" VALUES('patient','{"name": "patient", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 46, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''patient''"], "steps": [{"name": "insist", "upstream": [], "executor": "loop", "attempts": 3, "timeout": null, "line": 85}]}',1795350954458937);
INSERT INTO "workflow" VALUES('single','{"name": "single", "owner": "", "description": "", "concurrency": 1, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 47, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''single''"], "steps": [{"name": "serve", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 92}]}',1795350954458937);
INSERT INTO "workflow" VALUES('keyed','{"name": "keyed", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 50, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''keyed'' key data.who"], "steps": [{"name": "visit", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 98}]}',1795350954458937);
INSERT INTO "workflow" VALUES('bulk','{"name": "bulk", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 53, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''bulk'' batch of 3 within 1m"], "steps": [{"name": "load", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 104}]}',1795350954458937);
INSERT INTO "workflow" VALUES('failing','{"name": "failing", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 57, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''failing''"], "steps": [{"name": "refuse", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 111}, {"name": "never", "upstream": ["refuse"], "executor": "loop", "attempts": 1, "timeout": null, "line": 116}]}',1795350954458937);
INSERT INTO "workflow" VALUES('fatal','{"name": "fatal", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 58, "sensors": ["deadly"], "triggers": ["deadly"], "steps": [{"name": "die", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 121}]}',1795350954458937);
INSERT INTO "workflow" VALUES('arrival','{"name": "arrival", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 59, "sensors": ["inbox"], "triggers": ["inbox"], "steps": [{"name": "read", "upstream": [], "executor": "thread", "attempts": 1, "timeout": null, "line": 128}]}',1795350954458937);
INSERT INTO "workflow" VALUES('beat','{"name": "beat", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 60, "sensors": ["beat"], "triggers": ["beat"], "steps": [{"name": "tick", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 133}]}',1795350954458937);
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
CREATE UNIQUE INDEX identity_range_numbers ON identity_range (source, series, first_number);
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA application_id = 1380270403;
PRAGMA user_version = 5;
