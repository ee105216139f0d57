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
INSERT INTO "attempt" VALUES(1882533629086662657,'insist',1,'failed',1795323971832672,1795323971832832,'ConnectionError: the first attempt fails (/srv/reactor/project.py:88)',1795323982721582);
CREATE TABLE cursor (
    sensor TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (sensor, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "cursor" VALUES('batch of bulk','last',X'31383832353333363239343139303631323438');
INSERT INTO "cursor" VALUES('beat','last',X'323032362D31312D32325430353A30363A31322E3230303030305A');
INSERT INTO "cursor" VALUES('inbox','one.txt',X'00FE000000000000D9E49800000000000100000000000000491F89EAA345EA18491F89EAA345EA18');
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
INSERT INTO "dead_letter" VALUES(1882533627758116865,'deadly','deadly','fatal',1882533627758116864,1882533627758116865,'process_died','the process died 3 times in a row while this run was in flight',NULL,X'7B22746F223A22636861696E227D',1795323971769900,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629492461569,'orders','unfit','bulk',1882533629492461568,NULL,'trigger_failed','where event.data[''to''] == ''bulk'': KeyError: ''to''',NULL,X'7B226E223A317D',1795323972218914,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629492461570,'orders','unfit','chain',1882533629492461568,NULL,'trigger_failed','where event.data[''to''] == ''chain'': KeyError: ''to''',NULL,X'7B226E223A317D',1795323972218914,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629492461571,'orders','unfit','failing',1882533629492461568,NULL,'trigger_failed','where event.data[''to''] == ''failing'': KeyError: ''to''',NULL,X'7B226E223A317D',1795323972218914,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629492461572,'orders','unfit','keyed',1882533629492461568,NULL,'trigger_failed','where event.data[''to''] == ''keyed'': KeyError: ''to''',NULL,X'7B226E223A317D',1795323972218914,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629492461573,'orders','unfit','patient',1882533629492461568,NULL,'trigger_failed','where event.data[''to''] == ''patient'': KeyError: ''to''',NULL,X'7B226E223A317D',1795323972218914,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629492461574,'orders','unfit','single',1882533629492461568,NULL,'trigger_failed','where event.data[''to''] == ''single'': KeyError: ''to''',NULL,X'7B226E223A317D',1795323972218914,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882533629517627392,'orders','09917340be6343659d4e8aeb89e4791b','',NULL,NULL,'not_json','the body is not JSON: unexpected end of data: line 1 column 7 (char 6)',NULL,X'7B226E223A20',1795323972242087,NULL,NULL);
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
INSERT INTO "event_row" VALUES(1882533627758116864,'deadly','deadly','deadly','reactor.webhook.delivery',NULL,1795323970564672,1795323970564816,X'7B22746F223A22636861696E227D','[["fatal","fired","1m80tbh040001",""]]');
INSERT INTO "event_row" VALUES(1882533629032136704,'inbox','ebd4a2db5d741bc66e8a24bfb8768261','inbox','reactor.file.arrived','/srv/reactor/inbox/one.txt',1795323971777404,1795323971779011,X'7B2270617468223A222F7372762F72656163746F722F696E626F782F6F6E652E747874222C226E616D65223A226F6E652E747874222C2273697A655F6279746573223A312C2276657273696F6E223A22666530302D3938653464392D312D313865613435613365613839316634392D31386561343561336561383931663439222C226D6F6469666965645F6174223A22323032362D31312D32325430353A30363A31312E3737373430342B30303A3030222C22706174685F626173653634223A6E756C6C2C226465707468223A317D','[["arrival","fired","1m80tbj630001",""]]');
INSERT INTO "event_row" VALUES(1882533629036331008,'beat','every:200ms@2026-11-22T05:06:11.600000Z','beat','reactor.timer.tick',NULL,1795323971600000,1795323971783772,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430353A30363A31312E3630303030302B30303A3030222C226D6973736564223A357D','[["beat","fired","1m80tbj670001",""]]');
INSERT INTO "event_row" VALUES(1882533629054156800,'beat','every:200ms@2026-11-22T05:06:11.800000Z','beat','reactor.timer.tick',NULL,1795323971800000,1795323971800927,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430353A30363A31312E3830303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m80tbj6r0001",""]]');
INSERT INTO "event_row" VALUES(1882533629055205376,'orders','order-0','orders','reactor.webhook.delivery',NULL,1795323971801406,1795323971801774,X'7B22746F223A22636861696E227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''chain''"],["chain","fired","1m80tbj6s0001",""],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''chain''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''chain''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''chain''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''chain''"]]');
INSERT INTO "event_row" VALUES(1882533629086662656,'orders','order-1','orders','reactor.webhook.delivery',NULL,1795323971830934,1795323971831182,X'7B22746F223A2270617469656E74227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''patient''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''patient''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''patient''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''patient''"],["patient","fired","1m80tbj7q0001",""],["single","refused","where event.data[''to''] == ''single''","data.to = ''patient''"]]');
INSERT INTO "event_row" VALUES(1882533629116022784,'orders','order-2','orders','reactor.webhook.delivery',NULL,1795323971859288,1795323971859463,X'7B22746F223A2273696E676C65222C226E223A307D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80tbj8k0001",""]]');
INSERT INTO "event_row" VALUES(1882533629144334336,'orders','order-3','orders','reactor.webhook.delivery',NULL,1795323971886186,1795323971886429,X'7B22746F223A2273696E676C65222C226E223A317D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80tbj9e0001",""]]');
INSERT INTO "event_row" VALUES(1882533629171597312,'orders','order-4','orders','reactor.webhook.delivery',NULL,1795323971912506,1795323971912702,X'7B22746F223A2273696E676C65222C226E223A327D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80tbja80001",""]]');
INSERT INTO "event_row" VALUES(1882533629199908864,'orders','order-5','orders','reactor.webhook.delivery',NULL,1795323971939469,1795323971939628,X'7B22746F223A2273696E676C65222C226E223A337D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80tbjb30001",""]]');
INSERT INTO "event_row" VALUES(1882533629227171840,'orders','order-6','orders','reactor.webhook.delivery',NULL,1795323971965324,1795323971965475,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80tbjbx0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882533629253386240,'orders','order-7','orders','reactor.webhook.delivery',NULL,1795323971990745,1795323971990920,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80tbjcp0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882533629263872000,'beat','every:200ms@2026-11-22T05:06:12Z','beat','reactor.timer.tick',NULL,1795323972000000,1795323972000987,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430353A30363A31322B30303A3030222C226D6973736564223A307D','[["beat","fired","1m80tbjd00001",""]]');
INSERT INTO "event_row" VALUES(1882533629282746368,'orders','order-8','orders','reactor.webhook.delivery',NULL,1795323972018059,1795323972018261,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80tbjdj0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882533629310009344,'orders','order-9','orders','reactor.webhook.delivery',NULL,1795323972044178,1795323972044376,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80tbjec0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882533629344612352,'orders','order-10','orders','reactor.webhook.delivery',NULL,1795323972077497,1795323972077688,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80tbjfd0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event_row" VALUES(1882533629368729600,'orders','order-11','orders','reactor.webhook.delivery',NULL,1795323972100406,1795323972100589,X'7B22746F223A2262756C6B222C226E223A307D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882533629393895424,'orders','order-12','orders','reactor.webhook.delivery',NULL,1795323972124621,1795323972124798,X'7B22746F223A2262756C6B222C226E223A317D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882533629419061248,'orders','order-13','orders','reactor.webhook.delivery',NULL,1795323972147925,1795323972148079,X'7B22746F223A2262756C6B222C226E223A327D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882533629443178496,'orders','order-14','orders','reactor.webhook.delivery',NULL,1795323972171155,1795323972171306,X'7B22746F223A2262756C6B222C226E223A337D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event_row" VALUES(1882533629467295744,'orders','order-15','orders','reactor.webhook.delivery',NULL,1795323972193923,1795323972194140,X'7B22746F223A226661696C696E67227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''failing''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''failing''"],["failing","fired","1m80tbjk20001",""],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''failing''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''failing''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''failing''"]]');
INSERT INTO "event_row" VALUES(1882533629474635776,'beat','every:200ms@2026-11-22T05:06:12.200000Z','beat','reactor.timer.tick',NULL,1795323972200000,1795323972201262,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430353A30363A31322E3230303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m80tbjk90001",""]]');
INSERT INTO "event_row" VALUES(1882533629492461568,'orders','unfit','orders','reactor.webhook.delivery',NULL,1795323972218775,1795323972218914,X'7B226E223A317D','[["bulk","failed","where event.data[''to''] == ''bulk''","KeyError: ''to''"],["chain","failed","where event.data[''to''] == ''chain''","KeyError: ''to''"],["failing","failed","where event.data[''to''] == ''failing''","KeyError: ''to''"],["keyed","failed","where event.data[''to''] == ''keyed''","KeyError: ''to''"],["patient","failed","where event.data[''to''] == ''patient''","KeyError: ''to''"],["single","failed","where event.data[''to''] == ''single''","KeyError: ''to''"]]');
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
INSERT INTO "run" VALUES(1882533627758116865,'fatal',1882533627758116864,NULL,NULL,'finished','dead',3,1795323970564816,1795323970564816,1795323971769900,'the process died 3 times in a row while this run was in flight');
INSERT INTO "run" VALUES(1882533629032136705,'arrival',1882533629032136704,NULL,NULL,'finished','succeeded',0,1795323971779011,1795323971779011,1795323971787165,NULL);
INSERT INTO "run" VALUES(1882533629036331009,'beat',1882533629036331008,NULL,NULL,'finished','succeeded',0,1795323971783772,1795323971783772,1795323971786943,NULL);
INSERT INTO "run" VALUES(1882533629054156801,'beat',1882533629054156800,NULL,NULL,'finished','succeeded',0,1795323971800927,1795323971800927,1795323971803978,NULL);
INSERT INTO "run" VALUES(1882533629055205377,'chain',1882533629055205376,NULL,NULL,'running',NULL,0,1795323971801774,1795323971801774,NULL,NULL);
INSERT INTO "run" VALUES(1882533629086662657,'patient',1882533629086662656,NULL,NULL,'waiting',NULL,0,1795323971831182,1795323971831182,NULL,NULL);
INSERT INTO "run" VALUES(1882533629116022785,'single',1882533629116022784,NULL,NULL,'running',NULL,0,1795323971859463,1795323971859463,NULL,NULL);
INSERT INTO "run" VALUES(1882533629144334337,'single',1882533629144334336,NULL,NULL,'pending',NULL,0,1795323971886429,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882533629171597313,'single',1882533629171597312,NULL,NULL,'pending',NULL,0,1795323971912702,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882533629199908865,'single',1882533629199908864,NULL,NULL,'pending',NULL,0,1795323971939628,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882533629227171841,'keyed',1882533629227171840,NULL,'a','running',NULL,0,1795323971965475,1795323971965475,NULL,NULL);
INSERT INTO "run" VALUES(1882533629253386241,'keyed',1882533629253386240,NULL,'a','pending',NULL,0,1795323971990920,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882533629263872001,'beat',1882533629263872000,NULL,NULL,'finished','succeeded',0,1795323972000987,1795323972000987,1795323972002311,NULL);
INSERT INTO "run" VALUES(1882533629282746369,'keyed',1882533629282746368,NULL,'a','pending',NULL,0,1795323972018261,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882533629310009345,'keyed',1882533629310009344,NULL,'b','running',NULL,0,1795323972044376,1795323972045687,NULL,NULL);
INSERT INTO "run" VALUES(1882533629344612353,'keyed',1882533629344612352,NULL,'b','pending',NULL,0,1795323972077688,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882533629420109824,'bulk',1882533629368729600,1882533629419061248,NULL,'running',NULL,0,1795323972149005,1795323972149053,NULL,NULL);
INSERT INTO "run" VALUES(1882533629467295745,'failing',1882533629467295744,NULL,NULL,'finished','failed',0,1795323972194140,1795323972194140,1795323972195757,'Reject: no attempt can help (/srv/reactor/project.py:113)');
INSERT INTO "run" VALUES(1882533629474635777,'beat',1882533629474635776,NULL,NULL,'finished','succeeded',0,1795323972201262,1795323972201262,1795323972202760,NULL);
CREATE TABLE skipped (
    sensor     TEXT    NOT NULL,
    occurrence TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (sensor, occurrence)
) STRICT, WITHOUT ROWID;
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T05:06:10.600000Z','missed',1795323970600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T05:06:10.800000Z','missed',1795323970800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T05:06:11.200000Z','missed',1795323971200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T05:06:11.400000Z','missed',1795323971400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T05:06:11Z','missed',1795323971000000);
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
INSERT INTO "step" VALUES(1882533629032136705,'read','succeeded',1,1795323971784508,1795323971787147,X'22316D383074626A3633303030312F7265616422',NULL);
INSERT INTO "step" VALUES(1882533629036331009,'tick','succeeded',1,1795323971786604,1795323971786915,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882533629054156801,'tick','succeeded',1,1795323971803732,1795323971803953,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882533629055205377,'left','succeeded',1,1795323971806512,1795323971807087,X'22316D383074626A3673303030312F6C65667422',NULL);
INSERT INTO "step" VALUES(1882533629055205377,'take','succeeded',1,1795323971803998,1795323971804088,X'22316D383074626A3673303030312F74616B6522',NULL);
INSERT INTO "step" VALUES(1882533629263872001,'tick','succeeded',1,1795323972002100,1795323972002295,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882533629467295745,'never','skipped',0,1795323972195353,1795323972195353,NULL,'step ''refuse'' failed');
INSERT INTO "step" VALUES(1882533629467295745,'refuse','failed',1,1795323972195294,1795323972195353,NULL,'Reject: no attempt can help (/srv/reactor/project.py:113)');
INSERT INTO "step" VALUES(1882533629474635777,'tick','succeeded',1,1795323972202572,1795323972202737,X'6E756C6C',NULL);
CREATE TABLE tally (
    subject TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, name, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO "tally" VALUES('sensor','beat','accepted',4);
INSERT INTO "tally" VALUES('sensor','beat','skipped',5);
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
INSERT INTO "workflow" VALUES('chain','{"name": "chain", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 45, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''chain''"], "steps": [{"name": "take", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 63}, {"name": "left", "upstream": ["take"], "executor": "thread", "attempts": 1, "timeout": null, "line": 68}, {"name": "right", "upstream": ["take"], "executor": "loop", "attempts": 1, "timeout": null, "line": 73}, {"name": "join", "upstream": ["left", "right"], "executor": "loop", "attempts": 1, "timeout": null, "line": 79}]}',1795323971772622);
INSERT INTO "workflow" VALUES('patient','{"name": "patient", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 46, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''patient''"], "steps": [{"name": "insist", "upstream": [], "executor": "loop", "attempts": 3, "timeout": null, "line": 85}]}',1795323971772622);
INSERT INTO "workflow" VALUES('single','{"name": "single", "owner": "", "description": "", "concurrency": 1, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 47, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''single''"], "steps": [{"name": "serve", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 92}]}',1795323971772622);
INSERT INTO "workflow" VALUES('keyed','{"name": "keyed", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 50, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''keyed'' key data.who"], "steps": [{"name": "visit", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 98}]}',1795323971772622);
INSERT INTO "workflow" VALUES('bulk','{"name": "bulk", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 53, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''bulk'' batch of 3 within 1m"], "steps": [{"name": "load", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 104}]}',1795323971772622);
INSERT INTO "workflow" VALUES('failing','{"name": "failing", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 57, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''failing''"], "steps": [{"name": "refuse", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 111}, {"name": "never", "upstream": ["refuse"], "executor": "loop", "attempts": 1, "timeout": null, "line": 116}]}',1795323971772622);
INSERT INTO "workflow" VALUES('fatal','{"name": "fatal", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 58, "sensors": ["deadly"], "triggers": ["deadly"], "steps": [{"name": "die", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 121}]}',1795323971772622);
INSERT INTO "workflow" VALUES('arrival','{"name": "arrival", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 59, "sensors": ["inbox"], "triggers": ["inbox"], "steps": [{"name": "read", "upstream": [], "executor": "thread", "attempts": 1, "timeout": null, "line": 128}]}',1795323971772622);
INSERT INTO "workflow" VALUES('beat','{"name": "beat", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 60, "sensors": ["beat"], "triggers": ["beat"], "steps": [{"name": "tick", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 133}]}',1795323971772622);
CREATE UNIQUE INDEX event_identity ON "event_row" (source, id);
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
PRAGMA user_version = 3;
