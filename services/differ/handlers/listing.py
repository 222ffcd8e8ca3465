"""A requested scan: fix what it lists, keep that, put the contents where analyzers find them, and tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import structlog

from libs.bus.api import Consumer, Delivery, NoAnswer, Refused, Reject, Retry
from libs.events.differ import FileQueued, ScanFailed, ScanRequested, ScanStarted
from libs.events.subjects import analyze_consumer, pattern
from libs.questions.analyzer import DescribeEngines
from libs.questions.differ import Repository
from services.differ.domain.listing import FileFacts, Listing
from services.differ.domain.location import public_address
from services.differ.domain.plan import Plan, engine_digest
from services.differ.handlers.desk import Desk, known_repository
from services.differ.handlers.following import align_consumer
from services.differ.handlers.reading import make_listing, read_settings
from services.differ.handlers.requests import follow_up
from services.differ.ports import Base, RepositoryProblem, Scan, Snapshot

log = structlog.get_logger(__name__)

PARALLEL = 1000
"""Files of one scan in hand at once over all analyzers, where nobody says otherwise."""
AT_ONCE = 2000
"""Facts made and published in one go."""
SEEN_TREES = 50
"""Scans since the base whose trees are looked through for files that are gone; older ones were looked through then."""


async def list_scan(desk: Desk, delivery: Delivery) -> None:
    """List a requested scan. Repeated after a crash it lists the same, since what it lists was kept first."""
    request = delivery.fact
    if not isinstance(request, ScanRequested):
        raise Reject(f"expected a requested scan, got {request.type_name}")
    scan = await desk.store.scan(request.scan_id)
    if scan is None:
        return
    if scan.state == "completed":
        # It may have ended while it was listed, and its queue been made after that.
        await desk.bus.delete_consumer(analyze_consumer(request.scan_id))
    elif scan.state == "failed":
        await _tell_failure(desk, request, scan)
    elif scan.state == "active":
        await align_consumer(desk, request.scan_id)
    else:
        await _list_and_tell(desk, request, scan, attempt=delivery.attempt)


async def give_up(desk: Desk, delivery: Delivery, reason: str) -> None:
    """Listing failed again and again by a fault of ours: the scan ends, or no other could ever begin."""
    request = delivery.fact
    if isinstance(request, ScanRequested):
        await _fail(desk, request, f"the differ failed to list it ({reason}): see its log, then scan again")


async def _list_and_tell(desk: Desk, request: ScanRequested, scan: Scan, *, attempt: int) -> None:
    if scan.plan is None and await desk.store.active_count() >= desk.active_scans:
        raise Retry(f"{desk.active_scans} scans are active", after=5.0)
    try:
        repository = await known_repository(desk, request.repository_id)
        plan = scan.plan or await _make_plan(desk, request, repository.location, repository.branch)
        if plan is None:
            return
        await _bring(desk, request, plan, repository)
        listing = await _list(desk, plan, repository.location)
    except RepositoryProblem as problem:
        if problem.passing and attempt <= 3:
            raise Retry(str(problem), after=2.0 * attempt) from problem
        await _fail(desk, request, str(problem))
    except Refused as problem:
        await _fail(desk, request, str(problem))
    else:
        await _tell(desk, request, plan, listing, address=public_address(repository.location))


async def _fail(desk: Desk, request: ScanRequested, reason: str) -> None:
    """Nothing can be listed: say so where people and programs look."""
    log.warning("listing_failed", scan_id=request.scan_id, reason=reason)
    await desk.store.fail(request.scan_id, reason)
    scan = await desk.store.scan(request.scan_id)
    if scan is not None and scan.state == "failed":
        await _tell_failure(desk, request, scan)


async def _tell_failure(desk: Desk, request: ScanRequested, scan: Scan) -> None:
    failed = ScanFailed(
        repository_id=request.repository_id, scan_id=scan.id, reason=scan.problem, failed_at=desk.clock()
    )
    await desk.bus.publish([failed])
    await desk.bus.delete_consumer(analyze_consumer(scan.id))
    await follow_up(desk, scan)


async def _make_plan(desk: Desk, request: ScanRequested, location: str, branch: str | None) -> Plan | None:
    """What will be listed, fixed and kept; None: the scan was ended meanwhile."""
    engine, version = await _engine(desk, request.engine)
    snapshot = await desk.mirrors.snapshot(location, branch, scan_id=request.scan_id)
    try:
        plan = await _plan_of(desk, request, location, snapshot, engine=engine, version=version)
    except (RepositoryProblem, Refused):
        await desk.mirrors.release(location, request.scan_id)
        raise
    kept = await desk.store.keep_plan(request.scan_id, plan)
    if kept is None:
        await desk.mirrors.release(location, request.scan_id)
    elif kept.tree != plan.tree and await desk.mirrors.holds(location, kept.tree):
        # The same request was planned at the same time; our snapshot took the place of the one that counts.
        await desk.mirrors.keep(location, request.scan_id, tree=kept.tree, commit=kept.commit)
    return kept


async def _plan_of(
    desk: Desk, request: ScanRequested, location: str, snapshot: Snapshot, *, engine: str, version: str
) -> Plan:
    entries = await desk.mirrors.list_tree(location, snapshot.tree)
    settings = await read_settings(desk.mirrors, location, entries, service=desk.rules)
    digest = engine_digest(engine, version, settings.digest())
    known = await desk.store.last_covered(request.repository_id)
    base, reason = await _choose_base(desk, request, location, snapshot, digest)
    return Plan(
        tree=snapshot.tree,
        commit=snapshot.commit,
        branch=snapshot.branch,
        uncommitted=snapshot.uncommitted,
        base_tree=base.tree if base else None,
        known_tree=known.tree if known and await desk.mirrors.holds(location, known.tree) else None,
        seen_trees=await _seen_trees(desk, request, location, base or known, snapshot.tree),
        mode_reason=reason,
        engine=engine,
        engine_digest=digest,
        settings_digest=settings.digest(),
        started_at=desk.clock(),
        warnings=list(snapshot.warnings),
    )


async def _seen_trees(
    desk: Desk, request: ScanRequested, location: str, since: Base | None, tree: str
) -> tuple[str, ...]:
    """What scans after the base saw. None of them moved it, but what they told of their files stands."""
    if request.base is not None:
        return ()
    after = since.scan_id if since else ""
    seen = await desk.store.trees_since(request.repository_id, after, most=SEEN_TREES)
    others = dict.fromkeys(other for other in seen if other not in (tree, since.tree if since else None))
    return tuple([other for other in others if await desk.mirrors.holds(location, other)])


async def _engine(desk: Desk, asked: str) -> tuple[str, str]:
    """The engine that will be used, and its version; ``auto`` is for the analyzers to say."""
    try:
        known = await desk.bus.ask(DescribeEngines())
    except (NoAnswer, Refused) as error:
        raise Retry(f"no analyzer says which engines there are: {error}", after=0.5) from error
    name = known.preferred if asked == "auto" else asked
    if name not in known.engines:
        problem = known.problems.get(name, f"there is no engine {name!r} here; there are: {', '.join(known.engines)}")
        raise Refused(problem, code="invalid")
    return name, known.engines[name]


async def _choose_base(
    desk: Desk, request: ScanRequested, location: str, snapshot: Snapshot, digest: str
) -> tuple[Base | None, str]:
    """What to compare with and why; none: everything is listed, and why."""
    if request.base is not None:
        revision = await desk.mirrors.resolve(location, request.base, head=snapshot.commit)
        asked = Base(scan_id=request.scan_id, tree=revision.tree, commit=revision.commit)
        return asked, f"what changed since {request.base}"
    if request.full:
        return None, "everything, as asked"
    base = await desk.store.base(request.repository_id, digest)
    if base is None:
        return None, await _why_no_base(desk, request)
    if not await desk.mirrors.holds(location, base.tree):
        return None, "everything: the last scanned tree is gone"
    if await desk.store.trees_since(request.repository_id, base.scan_id, most=1):
        return None, "everything: the last scan did not cover everything, or had another engine or settings"
    rewritten = base.commit and snapshot.commit and base.commit != snapshot.commit
    if rewritten and not await desk.mirrors.is_ancestor(location, base.commit or "", snapshot.commit or ""):
        return None, "everything: the history was rewritten"
    return base, f"what changed since scan {base.scan_id}"


async def _why_no_base(desk: Desk, request: ScanRequested) -> str:
    if await desk.store.last_covered(request.repository_id):
        return "everything: the engine or the settings changed"
    if await desk.store.trees_since(request.repository_id, "", most=1):
        return "everything: no scan has covered everything yet"
    return "everything: the first scan"


async def _bring(desk: Desk, request: ScanRequested, plan: Plan, repository: Repository) -> None:
    """The planned tree into this differ's mirror: another replica may have planned, or the mirror been lost."""
    location = repository.location
    if await desk.mirrors.holds(location, plan.tree):
        return
    await desk.mirrors.snapshot(location, repository.branch, scan_id=request.scan_id)
    if not await desk.mirrors.holds(location, plan.tree):
        await desk.mirrors.release(location, request.scan_id)
        raise RepositoryProblem("what the scan was to list is in no mirror any more", mend="scan again")
    await desk.mirrors.keep(location, request.scan_id, tree=plan.tree, commit=plan.commit)


async def _list(desk: Desk, plan: Plan, location: str) -> Listing:
    """The listing that the plan fixes, the contents of its queued files kept."""
    entries = await desk.mirrors.list_tree(location, plan.tree)
    settings = await read_settings(desk.mirrors, location, entries, service=desk.rules)
    if settings.digest() != plan.settings_digest:
        # Some files may be told already, by the rules there were: no file must have two outcomes.
        raise RepositoryProblem("the differ's own rules changed while the scan was being listed", mend="scan again")
    against = plan.base_tree or plan.known_tree
    return await make_listing(
        desk.mirrors,
        location,
        tree=plan.tree,
        commit=plan.commit,
        settings=settings,
        keep_contents=desk.blobs.put_all,
        entries=entries if plan.base_tree is None else None,
        base_tree=against,
        seen_trees=plan.seen_trees,
    )


async def _tell(desk: Desk, request: ScanRequested, plan: Plan, listing: Listing, *, address: str) -> None:
    """The scan's queue first, then what it covers, then every file: an analyzer may begin with the first."""
    if listing.queued:
        await desk.bus.ensure_consumer(_queue(request))
    await desk.bus.publish([_started(request, plan, listing, address=address)])
    facts = listing.facts(repository_id=request.repository_id, scan_id=request.scan_id, engine=plan.engine)
    while some := await asyncio.to_thread(_next, facts):
        await desk.bus.publish(some)
    await desk.store.activate(request.scan_id)
    await align_consumer(desk, request.scan_id)
    log.info("scan_listed", scan_id=request.scan_id, total=listing.total, queued=len(listing.queued))


def _next(facts: Iterator[FileFacts]) -> list[FileFacts]:
    return list(islice(facts, AT_ONCE))


def _queue(request: ScanRequested) -> Consumer:
    filters = (pattern(FileQueued.token, keyed=True, repository=request.repository_id, scan=request.scan_id),)
    parallel = request.parallel or PARALLEL
    return Consumer(name=analyze_consumer(request.scan_id), filters=filters, max_ack_pending=parallel)


def _started(request: ScanRequested, plan: Plan, listing: Listing, *, address: str) -> ScanStarted:
    return ScanStarted(
        repository_id=request.repository_id,
        scan_id=request.scan_id,
        repository=address,
        branch=plan.branch,
        commit=plan.commit,
        tree=plan.tree,
        uncommitted=plan.uncommitted,
        base=plan.base_tree,
        mode=plan.mode,
        mode_reason=plan.mode_reason,
        engine=plan.engine,
        budget_ticks=request.budget_ticks,
        total=listing.total,
        queued=len(listing.queued),
        skipped=listing.skip_counts(),
        started_at=plan.started_at,
        warnings=plan.warnings,
    )
