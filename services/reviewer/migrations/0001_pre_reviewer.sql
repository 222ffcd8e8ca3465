-- Everything is compared byte by byte: scan ids are time-ordered strings, and Python has to agree on every order.

CREATE TABLE repositories (
    repository text COLLATE "C" PRIMARY KEY
);

-- What was heard of a scan: how many of its outcomes, and the fact that ended it once it was reviewed.
CREATE TABLE scans (
    scan text COLLATE "C" NOT NULL,
    repository text COLLATE "C" NOT NULL,
    analysed integer NOT NULL DEFAULT 0,
    passed integer NOT NULL DEFAULT 0,
    completed text,
    review text,
    PRIMARY KEY (scan, repository)
);

-- The history of each file, one row an outcome. What stands is a function of it, so facts may come in any order.
CREATE TABLE outcomes (
    repository text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    scan text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    source text COLLATE "C" NOT NULL DEFAULT '',
    fingerprints text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (repository, key, scan, kind)
);
CREATE INDEX outcomes_by_source ON outcomes (repository, source) WHERE source <> '';

-- The newest outcome of each file; the figures are those of its analysis while it has one.
CREATE TABLE files (
    repository text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    scan text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    path text COLLATE "C" NOT NULL,
    language text NOT NULL,
    engine text NOT NULL,
    lines integer NOT NULL,
    complexity smallint NOT NULL,
    findings_cut integer NOT NULL,
    imports text NOT NULL,
    shapes text NOT NULL,
    PRIMARY KEY (repository, key)
);

-- The life of each finding. One that stands has its content; a resolved one is remembered without.
CREATE TABLE findings (
    repository text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    first_scan text COLLATE "C" NOT NULL,
    last_scan text COLLATE "C" NOT NULL,
    resolved_scan text COLLATE "C",
    state text COLLATE "C" NOT NULL,
    severity smallint,
    category text COLLATE "C",
    line integer,
    path text COLLATE "C",
    body text,
    PRIMARY KEY (repository, key, fingerprint)
);
-- A path may be longer than an index entry: its beginning orders, the key tells apart.
CREATE INDEX findings_worst_first
    ON findings (repository, severity, "left"(path, 200), line, key, fingerprint)
    WHERE severity IS NOT NULL;

-- What was told of a file's findings. Kept, so that a second delivery tells the same.
CREATE TABLE changes (
    repository text COLLATE "C" NOT NULL,
    scan text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    path text NOT NULL,
    opened text NOT NULL,
    resolved text NOT NULL,
    reopened text NOT NULL,
    PRIMARY KEY (repository, scan, key)
);

CREATE TABLE tasks (
    repository text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    state text COLLATE "C" NOT NULL,
    superseded boolean NOT NULL,
    members text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (repository, id)
);
CREATE INDEX tasks_in_order ON tasks (repository, position, id);

-- The facts that a review told, in order: published from here, as often as it takes.
CREATE TABLE told (
    repository text COLLATE "C" NOT NULL,
    scan text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    task text COLLATE "C" NOT NULL,
    type text NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (repository, scan, ordinal)
);
