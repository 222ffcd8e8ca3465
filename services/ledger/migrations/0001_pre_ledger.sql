-- A scan as the ledger has counted it. One row is the lock of everything that belongs to the scan.
CREATE TABLE scans (
    scan_id text PRIMARY KEY,
    repository_id text NOT NULL,
    repository text NOT NULL DEFAULT '',
    branch text,
    commit_id text,
    tree text NOT NULL DEFAULT '',
    base text,
    mode_reason text NOT NULL DEFAULT '',
    engine text NOT NULL DEFAULT '',
    notices text[] NOT NULL DEFAULT '{}',
    requested_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    status text,
    halted boolean NOT NULL DEFAULT false,
    halts integer NOT NULL DEFAULT 0,
    halt_reason text NOT NULL DEFAULT '',
    total integer,
    accounted integer NOT NULL DEFAULT 0,
    analysed integer NOT NULL DEFAULT 0,
    reused integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unreached integer NOT NULL DEFAULT 0,
    skipped jsonb NOT NULL DEFAULT '{}',
    recorded integer NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    settled_ticks bigint NOT NULL DEFAULT 0,
    presumed_ticks bigint NOT NULL DEFAULT 0,
    reserved_ticks bigint NOT NULL DEFAULT 0,
    saved_ticks bigint NOT NULL DEFAULT 0,
    requested_budget_ticks bigint,
    started_budget_ticks bigint,
    raised_budget_ticks bigint,
    warned_percent integer NOT NULL DEFAULT 0,
    warned integer NOT NULL DEFAULT 0,
    kept integer NOT NULL DEFAULT 0,
    told integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX scans_of_repository ON scans (repository_id, scan_id);
CREATE INDEX scans_active ON scans (scan_id) WHERE completed_at IS NULL;
CREATE INDEX scans_untold ON scans (scan_id) WHERE told < kept;

-- One row an outcome. No foreign key: the scan's row is locked by whoever writes here.
-- file_id is <scan>/<key> in one column, so that only its own index can answer whether a file was counted: with two
-- columns, plans made while the table is small take files_in_order and read a whole scan for every look-up.
CREATE TABLE files (
    file_id text PRIMARY KEY,
    scan_id text NOT NULL,
    ordinal integer NOT NULL,
    path text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    engine text NOT NULL,
    model text NOT NULL,
    ticks bigint NOT NULL,
    tokens bigint NOT NULL,
    saved_ticks bigint NOT NULL,
    total_ticks bigint NOT NULL,
    accounted_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX files_in_order ON files (scan_id, ordinal);

-- Booked money. What cost nothing and asked no model has no entry; its row in files says so.
-- origin: which report it comes from (analyzed, failed, reviewed), or presumed-<stage>-<attempt>.
CREATE TABLE entries (
    scan_id text NOT NULL,
    key text NOT NULL,
    origin text NOT NULL,
    repository_id text NOT NULL,
    path text NOT NULL,
    stage text NOT NULL,
    source text NOT NULL,
    model text NOT NULL,
    ticks bigint NOT NULL,
    tokens bigint NOT NULL,
    calls bigint NOT NULL,
    day date NOT NULL,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (scan_id, key, origin)
);
CREATE INDEX entries_by_day ON entries (day);

-- Money set aside for one attempt. day is the one whose budgets it counts against, now and when it is settled;
-- place is the order of granting: attempts are named by their callers, at random if they like.
CREATE TABLE reservations (
    scan_id text NOT NULL,
    key text NOT NULL,
    stage text NOT NULL,
    attempt bigint NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    repository_id text NOT NULL,
    ticks bigint NOT NULL CHECK (ticks > 0),
    day date NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled', 'presumed')),
    PRIMARY KEY (scan_id, key, stage, attempt)
);

-- What a repository, or all of them, committed in one day (2026-11-22) or month (2026-11).
CREATE TABLE accounts (
    scope text NOT NULL CHECK (scope IN ('global', 'repository')),
    id text NOT NULL,
    period text NOT NULL,
    settled_ticks bigint NOT NULL DEFAULT 0,
    presumed_ticks bigint NOT NULL DEFAULT 0,
    reserved_ticks bigint NOT NULL DEFAULT 0,
    warned_percent integer NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, id, period)
) WITH (fillfactor = 50);

-- The most an account may commit in any one period. id '*' is for every repository without a row of its own.
CREATE TABLE budgets (
    scope text NOT NULL CHECK (scope IN ('global', 'repository')),
    id text NOT NULL,
    period text NOT NULL CHECK (period IN ('day', 'month')),
    ticks bigint NOT NULL CHECK (ticks >= 0),
    PRIMARY KEY (scope, id, period)
);

-- Facts to publish, kept in the transaction that made them true; scans.told says how far they were told.
CREATE TABLE announcements (
    scan_id text NOT NULL,
    turn integer NOT NULL,
    type_name text NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (scan_id, turn)
);
