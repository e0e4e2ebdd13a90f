-- A store as schema 1 wrote it, by write.py beside it.
PRAGMA application_id = 1413824839;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE decision (
        position INTEGER PRIMARY KEY, policy TEXT NOT NULL, at TEXT NOT NULL, document TEXT NOT NULL) STRICT;
INSERT INTO "decision" VALUES(1,'transit-balance','2026-01-12T19:40:00.000000+00:00','{"policy":"transit-balance","at":"2026-01-12T19:40:00.000000+00:00","snapshot_digest":"51be07","triggers":[],"chosen":null,"considered":[],"candidates":0,"reasons":[],"message":"no trigger fires"}');
CREATE TABLE event (
        position INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, subject TEXT NOT NULL,
        message TEXT NOT NULL, fields TEXT NOT NULL, previous_digest TEXT NOT NULL, digest TEXT NOT NULL) STRICT;
INSERT INTO "event" VALUES(1,'2026-01-12T19:40:00.000000+00:00','freeze','alice','','frozen for maintenance','{"seconds":1.5}','0000000000000000000000000000000000000000000000000000000000000000','5d80ff8e8852b8b66ea587d3cf748b51db40bde3d48e6475edbfd6da04aaea3d');
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "fact" VALUES('frozen','{"by":"alice","since":"2026-01-12T19:40:00Z"}');
CREATE TABLE matrix (at_us INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
INSERT INTO "matrix" VALUES(1768246800000000,X'789C6D8E4D0E823010855D7B0A33EB5A5BAD58881BCF410829504D2316D21F4342B88B67F3245264A1C6B79A37DFE4CDEB41B8DC5B48E821E25B1671320B819565A3AB11ED82AB95BE8E730ACE086D955B0BC810B4469E55272740638EF714534230D96C59C0B6F1A69C681A31164708201BD7657397465C2424FD475C4270CC07045E0BE78C2ABC93555EB4F6E78ABEFB613284A0DADFF4943F15CC95AE6407088E8A01A2194AE7867FC0BBDB1F105E8EFECC83CF86E5E25BABFCF13CBD00691059F4');
CREATE TABLE proposal (
        position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, policy TEXT NOT NULL, plan_digest TEXT NOT NULL,
        created_at TEXT NOT NULL, document TEXT NOT NULL,
        state TEXT NOT NULL, confirm_deadline TEXT, restores TEXT, revert_attempts INTEGER NOT NULL) STRICT;
INSERT INTO "proposal" VALUES(1,'p-7f3c','transit-balance','9a21c0','2026-01-12T19:40:00.000000+00:00','{"id":"p-7f3c","plan":{"policy":"transit-balance","changes":[{"type":"Modify","before":{"prefix":"198.51.100.0/24","link":"transit-a","prepend":0},"after":{"prefix":"198.51.100.0/24","link":"transit-a","prepend":3}}],"before":{"198.51.100.0/24":{"transit-a":0,"transit-b":0},"203.0.113.0/24":{"transit-a":0,"transit-b":0}},"after":{"198.51.100.0/24":{"transit-a":3,"transit-b":0},"203.0.113.0/24":{"transit-a":0,"transit-b":0}},"digest":"9a21c0"},"dry_run":{"links":[{"link":"transit-a","capacity_bps":10000000000.0,"before_bps":9310000000.0,"after":{"low":6000000000.0,"expected":6900000000.0,"high":7700000000.0},"worst_bps":9310000000.0,"target_bps":8000000000.0}],"shifts":[{"source":{"asn":64496,"prefix":""},"prefix":"198.51.100.0/24","from_link":"transit-a","to_link":"transit-b","band":{"low":1600000000.0,"expected":2400000000.0,"high":3300000000.0}}],"moved":{"low":1600000000.0,"expected":2400000000.0,"high":3300000000.0},"assumption":"all that may move moves","warnings":["2 of 3 sources seen"],"sources":0},"verdict":{"type":"NeedsApproval","reasons":[{"rule":"max_prepend","ok":true,"message":"3 prepends, limit 3","value":3,"limit":3}]},"snapshot_digest":"51be07","inputs_digest":"e2d001","created_at":"2026-01-12T19:40:00.000000+00:00","expires_at":"2026-01-12T20:10:00.000000+00:00"}','active',NULL,NULL,0);
CREATE TABLE proposal_event (
        position INTEGER PRIMARY KEY, proposal TEXT NOT NULL REFERENCES proposal (id), seq INTEGER NOT NULL,
        event TEXT, from_state TEXT, to_state TEXT NOT NULL, actor TEXT NOT NULL, at TEXT NOT NULL,
        reason TEXT NOT NULL, plan_digest TEXT NOT NULL, previous_digest TEXT NOT NULL, digest TEXT NOT NULL,
        UNIQUE (proposal, seq)) STRICT;
INSERT INTO "proposal_event" VALUES(1,'p-7f3c',0,NULL,NULL,'pending','policy:transit-balance','2026-01-12T19:40:00.000000+00:00','','9a21c0','0000000000000000000000000000000000000000000000000000000000000000','5bb31a20e1812de594d4692f38cc897db98cee3d8ceb44e2fd92cfc72f014a88');
INSERT INTO "proposal_event" VALUES(2,'p-7f3c',1,'approve','pending','approved','alice','2026-01-12T19:40:00.000000+00:00','','9a21c0','5bb31a20e1812de594d4692f38cc897db98cee3d8ceb44e2fd92cfc72f014a88','c94f5219f94407e5e46480bd43ec8e97acbacd9fc98a1031362ec97809578ac6');
INSERT INTO "proposal_event" VALUES(3,'p-7f3c',2,'apply','approved','applying','alice','2026-01-12T19:40:00.000000+00:00','','9a21c0','c94f5219f94407e5e46480bd43ec8e97acbacd9fc98a1031362ec97809578ac6','c46409c3e2a3b851a6f703280908be2eec6a1bcc5e19c4aede533d7f70b46780');
INSERT INTO "proposal_event" VALUES(4,'p-7f3c',3,'acked','applying','confirming','alice','2026-01-12T19:40:00.000000+00:00','','9a21c0','c46409c3e2a3b851a6f703280908be2eec6a1bcc5e19c4aede533d7f70b46780','87c9261e24ddbba14c47ef65fe1eddf2eafae1d7619f0d97b06eef405e42dc43');
INSERT INTO "proposal_event" VALUES(5,'p-7f3c',4,'confirm','confirming','active','alice','2026-01-12T19:40:00.000000+00:00','','9a21c0','87c9261e24ddbba14c47ef65fe1eddf2eafae1d7619f0d97b06eef405e42dc43','f20f8cce2b045ebd12e7f979ea1a9642f1a9fa5a6fb99c721157caa3433fced2');
CREATE TABLE utilisation (
        link TEXT NOT NULL, at_us INTEGER NOT NULL, in_bps REAL NOT NULL, out_bps REAL NOT NULL, seconds REAL NOT NULL,
        PRIMARY KEY (link, at_us)) STRICT, WITHOUT ROWID;
INSERT INTO "utilisation" VALUES('transit-a',1768176600000000,10000000000.0,100000000.0,300.0);
CREATE TABLE utilisation_5m (
        link TEXT NOT NULL, at_us INTEGER NOT NULL,
        seconds REAL NOT NULL, in_bits REAL NOT NULL, out_bits REAL NOT NULL,
        PRIMARY KEY (link, at_us)) STRICT, WITHOUT ROWID;
INSERT INTO "utilisation_5m" VALUES('transit-a',1768176300000000,300.0,1500000000000.0,30000000000.0);
CREATE TABLE utilisation_hourly (
        link TEXT NOT NULL, at_us INTEGER NOT NULL,
        seconds REAL NOT NULL, in_bits REAL NOT NULL, out_bits REAL NOT NULL,
        PRIMARY KEY (link, at_us)) STRICT, WITHOUT ROWID;
INSERT INTO "utilisation_hourly" VALUES('transit-a',1768179600000000,300.0,1500000000000.0,30000000000.0);
CREATE INDEX utilisation_at ON utilisation (at_us);
CREATE INDEX proposal_state ON proposal (state);
CREATE TRIGGER proposal_is_kept BEFORE DELETE ON proposal
        BEGIN SELECT RAISE(ABORT, 'a proposal is never deleted'); END;
CREATE TRIGGER proposal_plan_is_fixed
        BEFORE UPDATE OF position, id, policy, plan_digest, created_at, document ON proposal
        BEGIN SELECT RAISE(ABORT, 'the plan of a proposal is never changed'); END;
CREATE INDEX event_subject ON event (subject);
CREATE TRIGGER proposal_event_no_update BEFORE UPDATE ON proposal_event
        BEGIN SELECT RAISE(ABORT, 'history is never edited'); END;
CREATE TRIGGER proposal_event_no_delete BEFORE DELETE ON proposal_event
        BEGIN SELECT RAISE(ABORT, 'history is never edited'); END;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event
        BEGIN SELECT RAISE(ABORT, 'history is never edited'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event
        BEGIN SELECT RAISE(ABORT, 'history is never edited'); END;
CREATE INDEX decision_policy ON decision (policy);
COMMIT;
