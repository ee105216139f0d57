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
INSERT INTO "attempt" VALUES(1882520814362820609,'insist',1,'failed',1795311750759714,1795311750759810,'ConnectionError: the first attempt fails (/srv/reactor/project.py:88)',1795311763701735);
CREATE TABLE cursor (
    sensor TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (sensor, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "cursor" VALUES('batch of bulk','last',X'31383832353230383134363934313730363234');
INSERT INTO "cursor" VALUES('beat','last',X'323032362D31312D32325430313A34323A33315A');
INSERT INTO "cursor" VALUES('inbox','one.txt',X'00FE00000000000009679800000000000100000000000000DA3B9079863AEA18DA3B9079863AEA18');
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
, outgoing TEXT) STRICT;
INSERT INTO "dead_letter" VALUES(1882520813031129089,'deadly','deadly','fatal',1882520813031129088,1882520813031129089,'process_died','the process died 3 times in a row while this run was in flight',NULL,X'7B22746F223A22636861696E227D',1795311750692619,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814766522369,'orders','unfit','bulk',1882520814766522368,NULL,'trigger_failed','where event.data[''to''] == ''bulk'': KeyError: ''to''',NULL,X'7B226E223A317D',1795311751143457,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814766522370,'orders','unfit','chain',1882520814766522368,NULL,'trigger_failed','where event.data[''to''] == ''chain'': KeyError: ''to''',NULL,X'7B226E223A317D',1795311751143457,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814766522371,'orders','unfit','failing',1882520814766522368,NULL,'trigger_failed','where event.data[''to''] == ''failing'': KeyError: ''to''',NULL,X'7B226E223A317D',1795311751143457,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814766522372,'orders','unfit','keyed',1882520814766522368,NULL,'trigger_failed','where event.data[''to''] == ''keyed'': KeyError: ''to''',NULL,X'7B226E223A317D',1795311751143457,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814766522373,'orders','unfit','patient',1882520814766522368,NULL,'trigger_failed','where event.data[''to''] == ''patient'': KeyError: ''to''',NULL,X'7B226E223A317D',1795311751143457,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814766522374,'orders','unfit','single',1882520814766522368,NULL,'trigger_failed','where event.data[''to''] == ''single'': KeyError: ''to''',NULL,X'7B226E223A317D',1795311751143457,NULL,NULL);
INSERT INTO "dead_letter" VALUES(1882520814790639616,'orders','5a48bcdfffd64dd3bd6c8eb2cd7c1e15','',NULL,NULL,'not_json','the body is not JSON: unexpected end of data: line 1 column 7 (char 6)',NULL,X'7B226E223A20',1795311751166725,NULL,NULL);
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
INSERT INTO "event" VALUES(1882520813031129088,'deadly','deadly','deadly','reactor.webhook.delivery',NULL,1795311749487879,1795311749488024,X'7B22746F223A22636861696E227D','[["fatal","fired","1m80epjbg0001",""]]');
INSERT INTO "event" VALUES(1882520814308294656,'beat','every:200ms@2026-11-22T01:42:30.600000Z','beat','reactor.timer.tick',NULL,1795311750600000,1795311750706055,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430313A34323A33302E3630303030302B30303A3030222C226D6973736564223A357D','[["beat","fired","1m80epkhj0001",""]]');
INSERT INTO "event" VALUES(1882520814309343232,'inbox','cafd7b436bd348ee4274beb9019f15e3','inbox','reactor.file.arrived','/srv/reactor/inbox/one.txt',1795311750700088,1795311750707773,X'7B2270617468223A222F7372762F72656163746F722F696E626F782F6F6E652E747874222C226E616D65223A226F6E652E747874222C2273697A655F6279746573223A312C2276657273696F6E223A22666530302D3938363730392D312D313865613361383637393930336264612D31386561336138363739393033626461222C226D6F6469666965645F6174223A22323032362D31312D32325430313A34323A33302E3730303038382B30303A3030222C22706174685F626173653634223A6E756C6C2C226465707468223A317D','[["arrival","fired","1m80epkhk0001",""]]');
INSERT INTO "event" VALUES(1882520814332411904,'orders','order-0','orders','reactor.webhook.delivery',NULL,1795311750729460,1795311750729811,X'7B22746F223A22636861696E227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''chain''"],["chain","fired","1m80epkj90001",""],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''chain''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''chain''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''chain''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''chain''"]]');
INSERT INTO "event" VALUES(1882520814362820608,'orders','order-1','orders','reactor.webhook.delivery',NULL,1795311750758212,1795311750758432,X'7B22746F223A2270617469656E74227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''patient''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''patient''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''patient''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''patient''"],["patient","fired","1m80epkk60001",""],["single","refused","where event.data[''to''] == ''single''","data.to = ''patient''"]]');
INSERT INTO "event" VALUES(1882520814392180736,'orders','order-2','orders','reactor.webhook.delivery',NULL,1795311750786704,1795311750786921,X'7B22746F223A2273696E676C65222C226E223A307D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80epkm20001",""]]');
INSERT INTO "event" VALUES(1882520814406860800,'beat','every:200ms@2026-11-22T01:42:30.800000Z','beat','reactor.timer.tick',NULL,1795311750800000,1795311750800262,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430313A34323A33302E3830303030302B30303A3030222C226D6973736564223A307D','[["beat","fired","1m80epkmg0001",""]]');
INSERT INTO "event" VALUES(1882520814421540864,'orders','order-3','orders','reactor.webhook.delivery',NULL,1795311750814417,1795311750814625,X'7B22746F223A2273696E676C65222C226E223A317D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80epkmy0001",""]]');
INSERT INTO "event" VALUES(1882520814448803840,'orders','order-4','orders','reactor.webhook.delivery',NULL,1795311750840470,1795311750840638,X'7B22746F223A2273696E676C65222C226E223A327D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80epknr0001",""]]');
INSERT INTO "event" VALUES(1882520814476066816,'orders','order-5','orders','reactor.webhook.delivery',NULL,1795311750866786,1795311750866944,X'7B22746F223A2273696E676C65222C226E223A337D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''single''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''single''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''single''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''single''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''single''"],["single","fired","1m80epkpj0001",""]]');
INSERT INTO "event" VALUES(1882520814504378368,'orders','order-6','orders','reactor.webhook.delivery',NULL,1795311750892976,1795311750893156,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80epkqd0001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882520814531641344,'orders','order-7','orders','reactor.webhook.delivery',NULL,1795311750919267,1795311750919463,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80epkr70001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882520814559952896,'orders','order-8','orders','reactor.webhook.delivery',NULL,1795311750946338,1795311750946497,X'7B22746F223A226B65796564222C2277686F223A2261227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80epks20001","a"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882520814587215872,'orders','order-9','orders','reactor.webhook.delivery',NULL,1795311750972349,1795311750972495,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80epksw0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882520814617624576,'beat','every:200ms@2026-11-22T01:42:31Z','beat','reactor.timer.tick',NULL,1795311751000000,1795311751001208,X'7B227363686564756C65223A2265766572793A3230306D73222C227363686564756C65645F6174223A22323032362D31312D32325430313A34323A33312B30303A3030222C226D6973736564223A307D','[["beat","fired","1m80epkts0001",""]]');
INSERT INTO "event" VALUES(1882520814623916032,'orders','order-10','orders','reactor.webhook.delivery',NULL,1795311751006980,1795311751007107,X'7B22746F223A226B65796564222C2277686F223A2262227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''keyed''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''keyed''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''keyed''"],["keyed","fired","1m80epktz0001","b"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''keyed''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''keyed''"]]');
INSERT INTO "event" VALUES(1882520814646984704,'orders','order-11','orders','reactor.webhook.delivery',NULL,1795311751029645,1795311751029796,X'7B22746F223A2262756C6B222C226E223A307D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882520814671101952,'orders','order-12','orders','reactor.webhook.delivery',NULL,1795311751052242,1795311751052378,X'7B22746F223A2262756C6B222C226E223A317D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882520814694170624,'orders','order-13','orders','reactor.webhook.delivery',NULL,1795311751074701,1795311751074854,X'7B22746F223A2262756C6B222C226E223A327D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882520814718287872,'orders','order-14','orders','reactor.webhook.delivery',NULL,1795311751097308,1795311751097478,X'7B22746F223A2262756C6B222C226E223A337D','[["bulk","gathered","batch of 3 within 1m",""],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''bulk''"],["failing","refused","where event.data[''to''] == ''failing''","data.to = ''bulk''"],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''bulk''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''bulk''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''bulk''"]]');
INSERT INTO "event" VALUES(1882520814742405120,'orders','order-15','orders','reactor.webhook.delivery',NULL,1795311751120027,1795311751120174,X'7B22746F223A226661696C696E67227D','[["bulk","refused","where event.data[''to''] == ''bulk''","data.to = ''failing''"],["chain","refused","where event.data[''to''] == ''chain''","data.to = ''failing''"],["failing","fired","1m80epkyg0001",""],["keyed","refused","where event.data[''to''] == ''keyed''","data.to = ''failing''"],["patient","refused","where event.data[''to''] == ''patient''","data.to = ''failing''"],["single","refused","where event.data[''to''] == ''single''","data.to = ''failing''"]]');
INSERT INTO "event" VALUES(1882520814766522368,'orders','unfit','orders','reactor.webhook.delivery',NULL,1795311751143314,1795311751143457,X'7B226E223A317D','[["bulk","failed","where event.data[''to''] == ''bulk''","KeyError: ''to''"],["chain","failed","where event.data[''to''] == ''chain''","KeyError: ''to''"],["failing","failed","where event.data[''to''] == ''failing''","KeyError: ''to''"],["keyed","failed","where event.data[''to''] == ''keyed''","KeyError: ''to''"],["patient","failed","where event.data[''to''] == ''patient''","KeyError: ''to''"],["single","failed","where event.data[''to''] == ''single''","KeyError: ''to''"]]');
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
INSERT INTO "run" VALUES(1882520813031129089,'fatal',1882520813031129088,NULL,NULL,'finished','dead',3,1795311749488024,1795311749488024,1795311750692619,'the process died 3 times in a row while this run was in flight');
INSERT INTO "run" VALUES(1882520814308294657,'beat',1882520814308294656,NULL,NULL,'finished','succeeded',0,1795311750706055,1795311750706055,1795311750710860,NULL);
INSERT INTO "run" VALUES(1882520814309343233,'arrival',1882520814309343232,NULL,NULL,'finished','succeeded',0,1795311750707773,1795311750707773,1795311750722301,NULL);
INSERT INTO "run" VALUES(1882520814332411905,'chain',1882520814332411904,NULL,NULL,'running',NULL,0,1795311750729811,1795311750729811,NULL,NULL);
INSERT INTO "run" VALUES(1882520814362820609,'patient',1882520814362820608,NULL,NULL,'waiting',NULL,0,1795311750758432,1795311750758432,NULL,NULL);
INSERT INTO "run" VALUES(1882520814392180737,'single',1882520814392180736,NULL,NULL,'running',NULL,0,1795311750786921,1795311750786921,NULL,NULL);
INSERT INTO "run" VALUES(1882520814406860801,'beat',1882520814406860800,NULL,NULL,'finished','succeeded',0,1795311750800262,1795311750800262,1795311750802990,NULL);
INSERT INTO "run" VALUES(1882520814421540865,'single',1882520814421540864,NULL,NULL,'pending',NULL,0,1795311750814625,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882520814448803841,'single',1882520814448803840,NULL,NULL,'pending',NULL,0,1795311750840638,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882520814476066817,'single',1882520814476066816,NULL,NULL,'pending',NULL,0,1795311750866944,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882520814504378369,'keyed',1882520814504378368,NULL,'a','running',NULL,0,1795311750893156,1795311750893156,NULL,NULL);
INSERT INTO "run" VALUES(1882520814531641345,'keyed',1882520814531641344,NULL,'a','pending',NULL,0,1795311750919463,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882520814559952897,'keyed',1882520814559952896,NULL,'a','pending',NULL,0,1795311750946497,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882520814587215873,'keyed',1882520814587215872,NULL,'b','running',NULL,0,1795311750972495,1795311750973925,NULL,NULL);
INSERT INTO "run" VALUES(1882520814617624577,'beat',1882520814617624576,NULL,NULL,'finished','succeeded',0,1795311751001208,1795311751001208,1795311751002661,NULL);
INSERT INTO "run" VALUES(1882520814623916033,'keyed',1882520814623916032,NULL,'b','pending',NULL,0,1795311751007107,NULL,NULL,NULL);
INSERT INTO "run" VALUES(1882520814696267776,'bulk',1882520814646984704,1882520814694170624,NULL,'running',NULL,0,1795311751076049,1795311751077398,NULL,NULL);
INSERT INTO "run" VALUES(1882520814742405121,'failing',1882520814742405120,NULL,NULL,'finished','failed',0,1795311751120174,1795311751120174,1795311751122030,'Reject: no attempt can help (/srv/reactor/project.py:113)');
CREATE TABLE skipped (
    sensor     TEXT    NOT NULL,
    occurrence TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (sensor, occurrence)
) STRICT, WITHOUT ROWID;
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T01:42:29.600000Z','missed',1795311749600000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T01:42:29.800000Z','missed',1795311749800000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T01:42:30.200000Z','missed',1795311750200000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T01:42:30.400000Z','missed',1795311750400000);
INSERT INTO "skipped" VALUES('beat','every:200ms@2026-11-22T01:42:30Z','missed',1795311750000000);
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
INSERT INTO "step" VALUES(1882520814308294657,'tick','succeeded',1,1795311750710677,1795311750710841,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882520814309343233,'read','succeeded',1,1795311750711867,1795311750722256,X'22316D383065706B686B303030312F7265616422',NULL);
INSERT INTO "step" VALUES(1882520814332411905,'left','succeeded',1,1795311750734713,1795311750735291,X'22316D383065706B6A39303030312F6C65667422',NULL);
INSERT INTO "step" VALUES(1882520814332411905,'take','succeeded',1,1795311750731156,1795311750731263,X'22316D383065706B6A39303030312F74616B6522',NULL);
INSERT INTO "step" VALUES(1882520814406860801,'tick','succeeded',1,1795311750802703,1795311750802966,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882520814617624577,'tick','succeeded',1,1795311751002402,1795311751002640,X'6E756C6C',NULL);
INSERT INTO "step" VALUES(1882520814742405121,'never','skipped',0,1795311751121567,1795311751121567,NULL,'step ''refuse'' failed');
INSERT INTO "step" VALUES(1882520814742405121,'refuse','failed',1,1795311751121496,1795311751121567,NULL,'Reject: no attempt can help (/srv/reactor/project.py:113)');
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
INSERT INTO "workflow" VALUES('chain','{"name": "chain", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 45, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''chain''"], "steps": [{"name": "take", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 63}, {"name": "left", "upstream": ["take"], "executor": "thread", "attempts": 1, "timeout": null, "line": 68}, {"name": "right", "upstream": ["take"], "executor": "loop", "attempts": 1, "timeout": null, "line": 73}, {"name": "join", "upstream": ["left", "right"], "executor": "loop", "attempts": 1, "timeout": null, "line": 79}]}',1795311750695200);
INSERT INTO "workflow" VALUES('patient','{"name": "patient", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 46, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''patient''"], "steps": [{"name": "insist", "upstream": [], "executor": "loop", "attempts": 3, "timeout": null, "line": 85}]}',1795311750695200);
INSERT INTO "workflow" VALUES('single','{"name": "single", "owner": "", "description": "", "concurrency": 1, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 47, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''single''"], "steps": [{"name": "serve", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 92}]}',1795311750695200);
INSERT INTO "workflow" VALUES('keyed','{"name": "keyed", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 50, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''keyed'' key data.who"], "steps": [{"name": "visit", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 98}]}',1795311750695200);
INSERT INTO "workflow" VALUES('bulk','{"name": "bulk", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 53, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''bulk'' batch of 3 within 1m"], "steps": [{"name": "load", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 104}]}',1795311750695200);
INSERT INTO "workflow" VALUES('failing','{"name": "failing", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 57, "sensors": ["orders"], "triggers": ["orders where event.data[''to''] == ''failing''"], "steps": [{"name": "refuse", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 111}, {"name": "never", "upstream": ["refuse"], "executor": "loop", "attempts": 1, "timeout": null, "line": 116}]}',1795311750695200);
INSERT INTO "workflow" VALUES('fatal','{"name": "fatal", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 58, "sensors": ["deadly"], "triggers": ["deadly"], "steps": [{"name": "die", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 121}]}',1795311750695200);
INSERT INTO "workflow" VALUES('arrival','{"name": "arrival", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 59, "sensors": ["inbox"], "triggers": ["inbox"], "steps": [{"name": "read", "upstream": [], "executor": "thread", "attempts": 1, "timeout": null, "line": 128}]}',1795311750695200);
INSERT INTO "workflow" VALUES('beat','{"name": "beat", "owner": "", "description": "", "concurrency": 256, "key": "", "timeout": null, "priority": 0, "pending": 10000, "file": "/srv/reactor/project.py", "line": 60, "sensors": ["beat"], "triggers": ["beat"], "steps": [{"name": "tick", "upstream": [], "executor": "loop", "attempts": 1, "timeout": null, "line": 133}]}',1795311750695200);
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
CREATE INDEX outbox_lane ON outbox (lane, id, workflow);
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA application_id = 1380270403;
PRAGMA user_version = 2;
