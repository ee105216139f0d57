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
INSERT INTO "attempt" VALUES(1882479167221530625,'insist',1,'failed',1795272032955137,1795272032955240,'ConnectionError: the first attempt fails (/srv/reactor/project.py:88)',1795272041014859);
CREATE TABLE cursor (
    sensor TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (sensor, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "cursor" VALUES('batch of bulk','last',X'31383832343739313638323437303337393532');
INSERT INTO "cursor" VALUES('beat','last',X'323032362D31312D32315431343A34303A33342E3430303030305A');
INSERT INTO "cursor" VALUES('inbox','one.txt',X'00FE00000000000074E3A1000000000001000000000000002420AFEA6616EA182420AFEA6616EA18');
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    sensor      TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    workflow    TEXT    NOT NULL DEFAULT '',
    event       INTEGER REFERENCES event (seq),
    run         INTEGER REFERENCES run (id),
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    subject     TEXT,
    raw         BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    redriven_at INTEGER
) STRICT;
INSERT INTO "dead_letter" VALUES(1882479161658834945,'deadly','deadly','fatal',1882479161658834944,1882479161658834945,'process_died','the process died 3 times in a row while this run was in flight',NULL,X'7B7D',1795272032665058,NULL);
INSERT INTO "dead_letter" VALUES(1882479168618233857,'orders','unfit','bulk',1882479168618233856,NULL,'trigger_failed','where event.data[''to''] == ''bulk'': KeyError: ''to''',NULL,X'7B226E223A317D',1795272034281509,NULL);
INSERT INTO "dead_letter" VALUES(1882479168618233858,'orders','unfit','chain',1882479168618233856,NULL,'trigger_failed','where event.data[''to''] == ''chain'': KeyError: ''to''',NULL,X'7B226E223A317D',1795272034281509,NULL);
INSERT INTO "dead_letter" VALUES(1882479168618233859,'orders','unfit','failing',1882479168618233856,NULL,'trigger_failed','where event.data[''to''] == ''failing'': KeyError: ''to''',NULL,X'7B226E223A317D',1795272034281509,NULL);
INSERT INTO "dead_letter" VALUES(1882479168618233860,'orders','unfit','keyed',1882479168618233856,NULL,'trigger_failed','where event.data[''to''] == ''keyed'': KeyError: ''to''',NULL,X'7B226E223A317D',1795272034281509,NULL);
INSERT INTO "dead_letter" VALUES(1882479168618233861,'orders','unfit','patient',1882479168618233856,NULL,'trigger_failed','where event.data[''to''] == ''patient'': KeyError: ''to''',NULL,X'7B226E223A317D',1795272034281509,NULL);
INSERT INTO "dead_letter" VALUES(1882479168618233862,'orders','unfit','single',1882479168618233856,NULL,'trigger_failed','where event.data[''to''] == ''single'': KeyError: ''to''',NULL,X'7B226E223A317D',1795272034281509,NULL);
INSERT INTO "dead_letter" VALUES(1882479168755597312,'orders','33e050ffd3b843408ade9fee3d7184d5','',NULL,NULL,'not_json','the body is not JSON: unexpected end of data: line 1 column 7 (char 6)',NULL,X'7B226E223A20',1795272034412276,NULL);
CREATE TABLE event (
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
INSERT INTO "event" VALUES(1882479161612697600,'beat','every:200ms@2026-11-21T14:40:27.600000Z','beat','reactor.timer.tick',NULL,1795272027600000,1795272027600260,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A32372E3630303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8tbeg0001",""]]');
INSERT INTO "event" VALUES(1882479161658834944,'deadly','deadly','deadly','reactor.webhook.delivery',NULL,1795272027644374,1795272027644892,X'7B7D','[["fatal","fired","1m7z8tbfw0001",""]]');
INSERT INTO "event" VALUES(1882479164948217856,'beat','every:200ms@2026-11-21T14:40:30.600000Z','beat','reactor.timer.tick',NULL,1795272030600000,1795272030781318,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33302E3630303030302B30303A3030222C226D6973736564223A31347D','[["beat","fired","1m7z8tehx0001",""]]');
INSERT INTO "event" VALUES(1882479167005523968,'inbox','8767b0ba37489706d9e91fbd7ec44b18','inbox','reactor.file.arrived','/srv/reactor/inbox/one.txt',1795272032740384,1795272032743479,X'7B2270617468223A222F7372762F72656163746F722F696E626F782F6F6E652E747874222C226E616D65223A226F6E652E747874222C2273697A655F6279746573223A312C2276657273696F6E223A22666530302D6131653337342D312D313865613136363665616166323032342D31386561313636366561616632303234222C226D6F6469666965645F6174223A22323032362D31312D32315431343A34303A33322E3734303338342B30303A3030222C22706174685F626173653634223A6E756C6C7D','[["arrival","fired","1m7z8tgf70001",""]]');
INSERT INTO "event" VALUES(1882479167033835520,'beat','every:200ms@2026-11-21T14:40:32.600000Z','beat','reactor.timer.tick',NULL,1795272032600000,1795272032770859,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33322E3630303030302B30303A3030222C226D6973736564223A397D','[["beat","fired","1m7z8tgg20001",""]]');
INSERT INTO "event" VALUES(1882479167083118592,'beat','every:200ms@2026-11-21T14:40:32.800000Z','beat','reactor.timer.tick',NULL,1795272032800000,1795272032817506,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33322E3830303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8tghh0001",""]]');
INSERT INTO "event" VALUES(1882479167131353088,'orders','order-0','orders','reactor.webhook.delivery',NULL,1795272032862874,1795272032863154,X'7B22746F223A22636861696E227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''chain''"],["chain","fired","1m7z8tgjz0001",""],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''chain''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''chain''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''chain''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''chain''"]]');
INSERT INTO "event" VALUES(1882479167221530624,'orders','order-1','orders','reactor.webhook.delivery',NULL,1795272032949046,1795272032949209,X'7B22746F223A2270617469656E74227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''patient''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''patient''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''patient''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''patient''"],["patient","fired","1m7z8tgnn0001",""],["single","refused","where event.data[''to''] == ''single''","data.to = ''patient''"]]');
INSERT INTO "event" VALUES(1882479167275008000,'beat','every:200ms@2026-11-21T14:40:33Z','beat','reactor.timer.tick',NULL,1795272033000000,1795272033000889,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33332B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8tgq80001",""]]');
INSERT INTO "event" VALUES(1882479167316951040,'orders','order-2','orders','reactor.webhook.delivery',NULL,1795272033040158,1795272033040319,X'7B22746F223A2273696E676C65222C226E223A307D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m7z8tgrg0001",""]]');
INSERT INTO "event" VALUES(1882479167348408320,'orders','order-3','orders','reactor.webhook.delivery',NULL,1795272033070200,1795272033070344,X'7B22746F223A2273696E676C65222C226E223A317D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m7z8tgse0001",""]]');
INSERT INTO "event" VALUES(1882479167467945984,'orders','order-4','orders','reactor.webhook.delivery',NULL,1795272033184691,1795272033184831,X'7B22746F223A2273696E676C65222C226E223A327D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m7z8tgx00001",""]]');
INSERT INTO "event" VALUES(1882479167489966080,'beat','every:200ms@2026-11-21T14:40:33.200000Z','beat','reactor.timer.tick',NULL,1795272033200000,1795272033205875,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33332E3230303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8tgxn0001",""]]');
INSERT INTO "event" VALUES(1882479167511986176,'orders','order-5','orders','reactor.webhook.delivery',NULL,1795272033226126,1795272033226260,X'7B22746F223A2273696E676C65222C226E223A337D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m7z8tgya0001",""]]');
INSERT INTO "event" VALUES(1882479167638863872,'orders','order-6','orders','reactor.webhook.delivery',NULL,1795272033347586,1795272033347732,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m7z8th230001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882479167667175424,'orders','order-7','orders','reactor.webhook.delivery',NULL,1795272033374257,1795272033374401,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m7z8th2y0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882479167697584128,'beat','every:200ms@2026-11-21T14:40:33.400000Z','beat','reactor.timer.tick',NULL,1795272033400000,1795272033403657,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33332E3430303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8th3v0001",""]]');
INSERT INTO "event" VALUES(1882479167707021312,'orders','order-8','orders','reactor.webhook.delivery',NULL,1795272033411869,1795272033412008,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m7z8th440001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882479167851724800,'orders','order-9','orders','reactor.webhook.delivery',NULL,1795272033550690,1795272033550822,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m7z8th8e0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882479167904153600,'beat','every:200ms@2026-11-21T14:40:33.600000Z','beat','reactor.timer.tick',NULL,1795272033600000,1795272033600827,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33332E3630303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8tha00001",""]]');
INSERT INTO "event" VALUES(1882479168035225600,'orders','order-10','orders','reactor.webhook.delivery',NULL,1795272033725463,1795272033725635,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m7z8thdx0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882479168110723072,'orders','order-11','orders','reactor.webhook.delivery',NULL,1795272033797061,1795272033797207,X'7B22746F223A2262756C6B222C226E223A307D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882479168114917376,'beat','every:200ms@2026-11-21T14:40:33.800000Z','beat','reactor.timer.tick',NULL,1795272033800000,1795272033801114,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33332E3830303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8thg90001",""]]');
INSERT INTO "event" VALUES(1882479168158957568,'orders','order-12','orders','reactor.webhook.delivery',NULL,1795272033843238,1795272033843375,X'7B22746F223A2262756C6B222C226E223A317D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882479168247037952,'orders','order-13','orders','reactor.webhook.delivery',NULL,1795272033927107,1795272033927280,X'7B22746F223A2262756C6B222C226E223A327D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882479168279543808,'orders','order-14','orders','reactor.webhook.delivery',NULL,1795272033958216,1795272033958501,X'7B22746F223A2262756C6B222C226E223A337D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882479168325681152,'beat','every:200ms@2026-11-21T14:40:34Z','beat','reactor.timer.tick',NULL,1795272034000000,1795272034002643,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33342B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8thpj0001",""]]');
INSERT INTO "event" VALUES(1882479168467238912,'orders','order-15','orders','reactor.webhook.delivery',NULL,1795272034137766,1795272034137951,X'7B22746F223A226661696C696E67227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''failing''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''failing''"],["failing","fired","1m7z8thts0001",""],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''failing''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''failing''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''failing''"]]');
INSERT INTO "event" VALUES(1882479168543784960,'beat','every:200ms@2026-11-21T14:40:34.200000Z','beat','reactor.timer.tick',NULL,1795272034200000,1795272034210354,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33342E3230303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8thx20001",""]]');
INSERT INTO "event" VALUES(1882479168618233856,'orders','unfit','orders','reactor.webhook.delivery',NULL,1795272034281375,1795272034281509,X'7B226E223A317D','[["bulk","failed","where event.data[''to''] == ''bulk''","KeyError: ''to''"],["chain","failed","where event.data[''to''] == ''chain''","KeyError: ''to''"],["failing","failed","where event.data[''to''] == ''failing''","KeyError: ''to''"],["keyed","failed","where event.data[''to''] == ''keyed''","KeyError: ''to''"],["patient","failed","where event.data[''to''] == ''patient''","KeyError: ''to''"],["single","failed","where event.data[''to''] == ''single''","KeyError: ''to''"]]');
INSERT INTO "event" VALUES(1882479168746160128,'beat','every:200ms@2026-11-21T14:40:34.400000Z','beat','reactor.timer.tick',NULL,1795272034400000,1795272034403009,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32315431343A34303A33342E3430303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m7z8tj330001",""]]');
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    workflow    TEXT    NOT NULL,
    event       INTEGER NOT NULL REFERENCES event (seq),
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
INSERT INTO "run" VALUES(1882479161612697601,'beat',1882479161612697600,NULL,NULL,'finished','succeeded',0,1795272027600260,1795272027600260,1795272027605134,NULL);
INSERT INTO "run" VALUES(1882479161658834945,'fatal',1882479161658834944,NULL,NULL,'finished','dead',3,1795272027644892,1795272027644892,1795272032665058,'the process died 3 times in a row while this run was in flight');
INSERT INTO "run" VALUES(1882479164948217857,'beat',1882479164948217856,NULL,NULL,'finished','succeeded',1,1795272030781318,1795272030781318,1795272032736428,NULL);
INSERT INTO "run" VALUES(1882479167005523969,'arrival',1882479167005523968,NULL,NULL,'finished','succeeded',0,1795272032743479,1795272032743479,1795272032786980,NULL);
INSERT INTO "run" VALUES(1882479167033835521,'beat',1882479167033835520,NULL,NULL,'finished','succeeded',0,1795272032770859,1795272032770859,1795272032782742,NULL);
INSERT INTO "run" VALUES(1882479167083118593,'beat',1882479167083118592,NULL,NULL,'finished','succeeded',0,1795272032817506,1795272032817506,1795272032849105,NULL);
INSERT INTO "run" VALUES(1882479167131353089,'chain',1882479167131353088,NULL,NULL,'running',NULL,0,1795272032863154,1795272032863154,NULL,NULL);
INSERT INTO "run" VALUES(1882479167221530625,'patient',1882479167221530624,NULL,NULL,'waiting',NULL,0,1795272032949209,1795272032949209,NULL,NULL);
INSERT INTO "run" VALUES(1882479167275008001,'beat',1882479167275008000,NULL,NULL,'finished','succeeded',0,1795272033000889,1795272033000889,1795272033002389,NULL);
INSERT INTO "run" VALUES(1882479167316951041,'single',1882479167316951040,NULL,NULL,'running',NULL,0,1795272033040319,1795272033040319,NULL,NULL);
INSERT INTO "run" VALUES(1882479167348408321,'single',1882479167348408320,NULL,NULL,'pending',NULL,0,1795272033070344,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882479167467945985,'single',1882479167467945984,NULL,NULL,'pending',NULL,0,1795272033184831,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882479167489966081,'beat',1882479167489966080,NULL,NULL,'finished','succeeded',0,1795272033205875,1795272033205875,1795272033214555,NULL);
INSERT INTO "run" VALUES(1882479167511986177,'single',1882479167511986176,NULL,NULL,'pending',NULL,0,1795272033226260,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882479167638863873,'keyed',1882479167638863872,NULL,'a','running',NULL,0,1795272033347732,1795272033347732,NULL,NULL);
INSERT INTO "run" VALUES(1882479167667175425,'keyed',1882479167667175424,NULL,'a','pending',NULL,0,1795272033374401,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882479167697584129,'beat',1882479167697584128,NULL,NULL,'finished','succeeded',0,1795272033403657,1795272033403657,1795272033445663,NULL);
INSERT INTO "run" VALUES(1882479167707021313,'keyed',1882479167707021312,NULL,'a','pending',NULL,0,1795272033412008,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882479167851724801,'keyed',1882479167851724800,NULL,'b','running',NULL,0,1795272033550822,1795272033561226,NULL,NULL);
INSERT INTO "run" VALUES(1882479167904153601,'beat',1882479167904153600,NULL,NULL,'finished','succeeded',0,1795272033600827,1795272033600827,1795272033602476,NULL);
INSERT INTO "run" VALUES(1882479168035225601,'keyed',1882479168035225600,NULL,'b','pending',NULL,0,1795272033725635,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882479168114917377,'beat',1882479168114917376,NULL,NULL,'finished','succeeded',0,1795272033801114,1795272033801114,1795272033821203,NULL);
INSERT INTO "run" VALUES(1882479168248086528,'bulk',1882479168110723072,1882479168247037952,NULL,'running',NULL,0,1795272033928622,1795272033939456,NULL,NULL);
INSERT INTO "run" VALUES(1882479168325681153,'beat',1882479168325681152,NULL,NULL,'finished','succeeded',0,1795272034002643,1795272034002643,1795272034049319,NULL);
INSERT INTO "run" VALUES(1882479168467238913,'failing',1882479168467238912,NULL,NULL,'finished','failed',0,1795272034137951,1795272034137951,1795272034149652,'Reject: no attempt can help (/srv/reactor/project.py:113)');
INSERT INTO "run" VALUES(1882479168543784961,'beat',1882479168543784960,NULL,NULL,'finished','succeeded',0,1795272034210354,1795272034210354,1795272034218684,NULL);
INSERT INTO "run" VALUES(1882479168746160129,'beat',1882479168746160128,NULL,NULL,'finished','succeeded',0,1795272034403009,1795272034403009,1795272034413725,NULL);
CREATE TABLE skipped (
    sensor     TEXT    NOT NULL,
    occurrence TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (sensor, occurrence)
) STRICT, WITHOUT ROWID;
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:27.800000Z','missed',1795272027800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:28.200000Z','missed',1795272028200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:28.400000Z','missed',1795272028400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:28.600000Z','missed',1795272028600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:28.800000Z','missed',1795272028800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:28Z','missed',1795272028000000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:29.200000Z','missed',1795272029200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:29.400000Z','missed',1795272029400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:29.600000Z','missed',1795272029600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:29.800000Z','missed',1795272029800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:29Z','missed',1795272029000000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:30.200000Z','missed',1795272030200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:30.400000Z','missed',1795272030400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:30.800000Z','missed',1795272030800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:30Z','missed',1795272030000000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:31.200000Z','missed',1795272031200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:31.400000Z','missed',1795272031400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:31.600000Z','missed',1795272031600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:31.800000Z','missed',1795272031800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:31Z','missed',1795272031000000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:32.200000Z','missed',1795272032200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:32.400000Z','missed',1795272032400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-21T14:40:32Z','missed',1795272032000000);
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
INSERT INTO "step" VALUES(1882479161612697601,'tick','succeeded',1,1795272027604879,1795272027605083,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479164948217857,'tick','succeeded',1,1795272032736312,1795272032736382,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479167005523969,'read','succeeded',1,1795272032771414,1795272032786915,X'22316D377A3874676637303030312F7265616422',NULL);
INSERT INTO "step" VALUES(1882479167033835521,'tick','succeeded',1,1795272032782500,1795272032782700,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479167083118593,'tick','succeeded',1,1795272032838953,1795272032849016,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479167131353089,'left','succeeded',1,1795272032880755,1795272032881263,X'22316D377A3874676A7A303030312F6C65667422',NULL);
INSERT INTO "step" VALUES(1882479167131353089,'take','succeeded',1,1795272032876723,1795272032876847,X'22316D377A3874676A7A303030312F74616B6522',NULL);
INSERT INTO "step" VALUES(1882479167275008001,'tick','succeeded',1,1795272033002128,1795272033002356,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479167489966081,'tick','succeeded',1,1795272033214192,1795272033214529,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479167697584129,'tick','succeeded',1,1795272033413066,1795272033445605,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479167904153601,'tick','succeeded',1,1795272033602290,1795272033602452,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479168114917377,'tick','succeeded',1,1795272033821033,1795272033821182,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479168325681153,'tick','succeeded',1,1795272034045125,1795272034049262,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479168467238913,'never','skipped',0,1795272034149323,1795272034149323,NULL,'step ''refuse'' failed');
INSERT INTO "step" VALUES(1882479168467238913,'refuse','failed',1,1795272034149245,1795272034149323,NULL,'Reject: no attempt can help (/srv/reactor/project.py:113)');
INSERT INTO "step" VALUES(1882479168543784961,'tick','succeeded',1,1795272034218487,1795272034218662,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882479168746160129,'tick','succeeded',1,1795272034413561,1795272034413707,X'6E756C6C',NULL);
CREATE TABLE tally (
    subject TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, name, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO "tally" VALUES('sensor','beat','accepted',12);
INSERT INTO "tally" VALUES('sensor','beat','skipped',23);
INSERT INTO "tally" VALUES('sensor','deadly','accepted',1);
INSERT INTO "tally" VALUES('sensor','inbox','accepted',1);
INSERT INTO "tally" VALUES('sensor','orders','accepted',17);
INSERT INTO "tally" VALUES('sensor','orders','rejected',1);
INSERT INTO "tally" VALUES('workflow','arrival','fired',1);
INSERT INTO "tally" VALUES('workflow','beat','fired',12);
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
INSERT INTO "workflow" VALUES('chain','{"name": "chain", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 45, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''chain''"], "steps": [{"name": "take", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 63}, {"name": "left", "upstream": ["take"], "executor": "thread", "attempts": 1, "timeout": null, "line": 68}, {"name": "right", "upstream": ["take"], "executor": "loop", "attempts": 1, "timeout": null, "line": 73}, {"name": "join", "upstream": ["left", "right"], "executor": "loop", "attempts": 1, "timeout": null, "line": 79}]}',1795272032674636);
INSERT INTO "workflow" VALUES('patient','{"name": "patient", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 46, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''patient''"], "steps": [{"name": "insist", "upstream": [], "executor": "loop", "attempts": 3, "timeout": null, "line": 85}]}',1795272032674636);
INSERT INTO "workflow" VALUES('single','{"name": "single", "owner": "", "description": "", "concurrency": 1, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 47, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''single''"], "steps": [{"name": "serve", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 92}]}',1795272032674636);
INSERT INTO "workflow" VALUES('keyed','{"name": "keyed", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 50, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''keyed'' key data.who"], "steps": [{"name": "visit", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 98}]}',1795272032674636);
INSERT INTO "workflow" VALUES('bulk','{"name": "bulk", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 53, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''bulk'' batch of 3 within 1m"], "steps": [{"name": "load", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 104}]}',1795272032674636);
INSERT INTO "workflow" VALUES('failing','{"name": "failing", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 57, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''failing''"], "steps": [{"name": "refuse", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 111}, {"name": "never", "upstream": ["refuse"], "executor": "loop", "attempts": 1, "timeout": null, "line": 116}]}',1795272032674636);
INSERT INTO "workflow" VALUES('fatal','{"name": "fatal", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 58, "sensors": ["deadly"], "triggers": ["deadly"], "steps": [{"name": "die", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 121}]}',1795272032674636);
INSERT INTO "workflow" VALUES('arrival','{"name": "arrival", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 59, "sensors": ["inbox"], "triggers": ["inbox"], "steps": [{"name": "read", "upstream": [], "executor": "thread", "attempts": 1, "timeout": null, "line": 128}]}',1795272032674636);
INSERT INTO "workflow" VALUES('beat','{"name": "beat", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 60, "sensors": ["beat"], "triggers": ["beat"], "steps": [{"name": "tick", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 133}]}',1795272032674636);
CREATE UNIQUE INDEX event_identity ON event (source, id);
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
COMMIT;
PRAGMA application_id = 1380270403;
PRAGMA user_version = 1;
