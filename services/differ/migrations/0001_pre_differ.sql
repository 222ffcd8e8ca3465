CREATE TABLE repositories (
    id text PRIMARY KEY,
    location text NOT NULL,
    branch text,
    enabled boolean NOT NULL DEFAULT true,
    interval_seconds integer,
    next_scan_at timestamptz,
    budget_ticks bigint,
    engine text NOT NULL DEFAULT 'auto',
    registered_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX repositories_place ON repositories (location, coalesce(branch, ''));

CREATE TABLE scans (
    id text PRIMARY KEY,
    repository_id text NOT NULL REFERENCES repositories ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'requested',
    request jsonb NOT NULL,
    plan jsonb,
    engine_digest text,
    tree text,
    commit text,
    covered boolean NOT NULL DEFAULT false,
    again boolean NOT NULL DEFAULT false,
    problem text NOT NULL DEFAULT ''
);
-- One scan at a time for each repository: a second request meets this index and joins.
CREATE UNIQUE INDEX scans_one_active ON scans (repository_id) WHERE state IN ('requested', 'listing', 'active');
CREATE INDEX scans_covered ON scans (repository_id, engine_digest, id DESC) WHERE covered;
