"""A plan is a function of what stands: same findings, same tasks, in the same order, byte for byte."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.analyzer import Category, Severity, Shape
from libs.events.envelope import MAX_FACT_BYTES, encode
from libs.events.reviewer import Priority
from services.reviewer.domain.grouping import MOST_MINUTES
from services.reviewer.domain.plan import Plan, make_plan, review_of
from services.reviewer.domain.snapshot import Problem, SourceFile, snapshot
from tests.unit.services.reviewer.scene import MOMENT, REPOSITORY, a_file, a_problem, fingerprint

PATHS = ("app/db/a.py", "app/db/b.py", "app/web/c.py", "app/__init__.py", "tests/test_a.py", "d.py")
HIGH: dict[str, Any] = {"severity": Severity.HIGH}
SEVERITIES = st.sampled_from(list(Severity))


def plan_of(problems: Sequence[Problem], files: Sequence[SourceFile] = (), **options: Any) -> Plan:
    known = {file.path for file in files}
    paths = sorted({problem.path for problem in problems} - known)
    return make_plan(snapshot(REPOSITORY, [*files, *map(a_file, paths)], problems), **options)


def written(plan: Plan) -> list[str]:
    return [each.task.model_dump_json() for each in plan.tasks] + [
        plan.summary,
        str(plan.concerns),
        str(plan.unplanned),
    ]


@st.composite
def repositories(draw: st.DrawFn) -> tuple[list[SourceFile], list[Problem]]:
    """Some files that import each other, copies among them, and up to 40 problems."""
    files = [
        a_file(
            path,
            complexity=draw(st.integers(0, 100)),
            imports=tuple(draw(st.lists(st.sampled_from(("app.db.a", "app.db.b", "app.web.c", ".a", "d", "os"))))),
            shapes=tuple(
                Shape(hash=fingerprint(name), symbol=name, start_line=1, end_line=30)
                for name in draw(st.sets(st.sampled_from("fgh")))
            ),
        )
        for path in PATHS
    ]
    problems = [
        a_problem(
            draw(st.sampled_from(PATHS)),
            f"{number}",
            rule=draw(st.sampled_from(("ruff/a", "ruff/b", "ruff/c"))),
            category=draw(st.sampled_from(list(Category))),
            severity=draw(SEVERITIES),
            line=draw(st.integers(1, 9)),
            confidence=draw(st.sampled_from((0.2, 0.5, 1.0))),
        )
        for number in range(draw(st.integers(0, 40)))
    ]
    return files, problems


@given(repositories(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_arrival_does_not_matter(
    repository: tuple[list[SourceFile], list[Problem]], chance: random.Random
) -> None:
    files, problems = repository
    plan = make_plan(snapshot(REPOSITORY, files, problems))
    chance.shuffle(files)
    chance.shuffle(problems)

    assert written(make_plan(snapshot(REPOSITORY, files, problems))) == written(plan)


@given(repositories(), st.integers(1, 30))
@settings(deadline=None)
def test_every_finding_is_in_one_task_or_counted_with_a_reason(
    repository: tuple[list[SourceFile], list[Problem]], most: int
) -> None:
    files, problems = repository
    plan = make_plan(snapshot(REPOSITORY, files, problems), most_tasks=most)
    planned = Counter(member for each in plan.tasks for member in each.members)

    assert set(planned.values()) <= {1}
    assert set(planned) <= {problem.id for problem in problems}
    assert len(planned) + sum(plan.unplanned.values()) == len(problems)


@given(repositories())
@settings(deadline=None)
def test_dependencies_come_first_and_there_are_few(repository: tuple[list[SourceFile], list[Problem]]) -> None:
    files, problems = repository
    plan = make_plan(snapshot(REPOSITORY, files, problems))
    done: set[str] = set()
    for each in plan.tasks:
        assert set(each.task.depends_on) <= done
        assert len(each.task.depends_on) <= 5
        done.add(each.task.id)

    assert len(done) == len(plan.tasks)


@given(repositories())
@settings(deadline=None)
def test_a_rank_is_the_sum_of_its_terms_and_priorities_never_mix(
    repository: tuple[list[SourceFile], list[Problem]],
) -> None:
    files, problems = repository
    tasks = [each.task for each in make_plan(snapshot(REPOSITORY, files, problems)).tasks]

    assert all(abs(task.rank - sum(term.points for term in task.ranking)) < 0.01 for task in tasks)
    assert [task.priority for task in tasks] == sorted((task.priority for task in tasks), key=list(Priority).index)


@given(st.integers(1, 400), SEVERITIES, st.sampled_from(list(Category)))
@settings(deadline=None, max_examples=40)
def test_no_task_is_longer_than_four_hours(count: int, severity: Severity, category: Category) -> None:
    problems = [
        a_problem(
            f"app/{number % 7}/{number % 31}.py", f"{number}", severity=severity, category=category, line=number + 1
        )
        for number in range(count)
    ]

    assert all(each.task.hours * 60 <= MOST_MINUTES for each in plan_of(problems).tasks)


def test_a_task_keeps_its_id_when_findings_come_and_go() -> None:
    problems = [a_problem("app/db/a.py", f"{number}", severity=Severity.HIGH) for number in range(4)]
    few, more = plan_of(problems[:2]), plan_of(problems)

    assert [each.task.id for each in few.tasks] == [each.task.id for each in more.tasks]


def test_the_same_cause_in_another_repository_is_another_task() -> None:
    problem = a_problem("a.py", "1")
    here, there = (make_plan(snapshot(name, [a_file("a.py")], [problem])) for name in ("here", "there"))

    assert here.tasks[0].task.id != there.tasks[0].task.id


def test_a_title_says_what_to_do_where_and_how_often() -> None:
    plan = plan_of([a_problem(f"app/db/{name}.py", "1", severity=Severity.HIGH) for name in "abc"])

    assert plan.tasks[0].task.title == "Use None as the default: mutable default argument in app/db/ (3 places)"


def test_a_title_that_would_be_long_says_what_to_do_and_the_description_what_is_wrong() -> None:
    plan = plan_of(
        [
            a_problem(f"application/database/{name}.py", "1", title="Mutable default argument is shared", **HIGH)
            for name in "abc"
        ]
    )

    task = plan.tasks[0].task
    assert task.title == "Use None as the default in application/database/ (3 places)"
    assert task.description.startswith("Mutable default argument is shared.\n\n")


def test_advice_that_speaks_of_something_is_not_left_alone() -> None:
    title, suggestion = "Exception made but never raised by anyone anywhere in here", "Put raise before it."
    plan = plan_of([a_problem(f"{name * 30}/y.py", "1", title=title, suggestion=suggestion, **HIGH) for name in "ab"])

    assert plan.tasks[0].task.title.startswith("Mend: exception made but never raised by anyone anywhere in here in ")


@given(
    paths=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200), min_size=1, max_size=4),
    words=st.tuples(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300)),
)
def test_a_title_fits_into_a_line_whatever_it_is_about(paths: list[str], words: tuple[str, str, str]) -> None:
    title, suggestion, symbol = words
    problems = [a_problem(path, "1", title=title or "x", suggestion=suggestion, symbol=symbol) for path in paths]

    for planned in plan_of(problems).tasks:
        assert 0 < len(planned.task.title) <= 90
        assert planned.task.description


def test_a_title_of_several_rules_counts_and_its_description_names_them() -> None:
    plan = plan_of(
        [a_problem("a.py", rule, rule=f"ruff/{rule}", title=f"Wrong {rule}", confidence=0.5) for rule in "xy"]
    )

    task = plan.tasks[0].task
    assert (task.title, task.description.split("\n")[0]) == ("Mend 2 likely bugs in a.py", "Wrong x; wrong y.")


def test_names_that_differ_from_place_to_place_are_left_out_of_the_title() -> None:
    problems = [
        a_problem("a.py", name, severity=Severity.HIGH, title=f"Undefined name `{name}` in `__all__`") for name in "xy"
    ]

    assert "undefined name … in `__all__` in a.py (2 places)" in plan_of(problems).tasks[0].task.title


def test_parts_of_one_file_say_which_part_they_are() -> None:
    hard = {"category": Category.REFACTORING, "severity": Severity.HIGH}
    plan = plan_of([a_problem("a.py", f"{line}", line=line, **hard) for line in (10, 20, 30, 40)])

    assert [each.task.title.rpartition("a.py ")[2] for each in plan.tasks] == [
        "lines 10 to 20 (2 places)",
        "lines 30 to 40 (2 places)",
    ]


def test_what_is_likely_no_problem_is_a_step_less_urgent() -> None:
    plan = plan_of([a_problem("a.py", "1", confidence=0.6), a_problem("b.py", "2", confidence=0.9)])

    assert [(each.task.files, each.task.priority) for each in plan.tasks] == [
        (["b.py"], Priority.HIGH),
        (["a.py"], Priority.MEDIUM),
    ]


def test_a_description_names_every_place() -> None:
    plan = plan_of([a_problem("app/a.py", f"{line}", severity=Severity.HIGH, line=line) for line in (3, 7)])

    description = plan.tasks[0].task.description
    assert "It is shared between calls." in description
    assert "- app/a.py:3\n- app/a.py:7" in description


def test_small_ones_of_one_kind_are_put_together_and_large_ones_are_not() -> None:
    small = [a_problem("app/a.py", rule, rule=f"ruff/{rule}", category=Category.ERROR_HANDLING) for rule in "abc"]
    severe = a_problem("app/a.py", "s", rule="ruff/s", category=Category.SECURITY, severity=Severity.HIGH)
    plan = plan_of([*small, severe])

    assert [len(each.members) for each in plan.tasks] == [1, 3]
    assert plan.tasks[0].task.priority is Priority.CRITICAL


def test_tests_are_planned_apart_and_a_step_lower() -> None:
    plan = plan_of([a_problem(path, "1", severity=Severity.HIGH) for path in ("app/a.py", "tests/test_a.py")])

    assert [(each.task.files, each.task.priority) for each in plan.tasks] == [
        (["app/a.py"], Priority.HIGH),
        (["tests/test_a.py"], Priority.MEDIUM),
    ]


def test_mending_comes_before_rebuilding_the_same_file() -> None:
    plan = plan_of(
        [
            a_problem("a.py", "1", rule="ruff/c901", category=Category.REFACTORING),
            a_problem("a.py", "2", rule="ruff/s608", category=Category.SECURITY, severity=Severity.HIGH),
        ]
    )

    mending, rebuilding = (each.task for each in plan.tasks)
    assert (mending.category, rebuilding.depends_on) == (Category.SECURITY, [mending.id])


def test_an_imported_module_comes_before_its_importer() -> None:
    files = [a_file("pkg/__init__.py"), a_file("pkg/base.py", complexity=0), a_file("pkg/user.py", imports=(".base",))]
    long = {"category": Category.REFACTORING, "severity": Severity.HIGH}
    plan = plan_of(
        [a_problem(path, f"{n}", rule=path[4:8], **long) for path in ("pkg/base.py", "pkg/user.py") for n in range(2)],
        files,
    )

    first, second = (each.task for each in plan.tasks)
    assert (first.files, second.depends_on) == (["pkg/base.py"], [first.id])


def test_copies_become_one_task_for_each_set_of_files() -> None:
    copies = tuple(Shape(hash=fingerprint(name), symbol=name, start_line=1, end_line=20) for name in ("load", "save"))
    plan = plan_of([], [a_file("a.py", shapes=copies), a_file("b.py", shapes=copies)])

    assert [each.task.title for each in plan.tasks] == ["Unite 2 copied functions in a.py and b.py (40 lines)"]
    assert plan.tasks[0].task.description.startswith("Alike but for names and literals: load, save.\n\n")


def test_a_title_about_copies_fits_into_a_line() -> None:
    copies = (Shape(hash=fingerprint("x"), symbol="a_function_with_a_rather_long_name", start_line=1, end_line=20),)
    plan = plan_of([], [a_file(f"{name * 50}/module.py", shapes=copies) for name in "abc"])

    assert [len(each.task.title) <= 90 for each in plan.tasks] == [True]


def test_a_rule_broken_in_many_files_is_a_concern() -> None:
    plan = plan_of([a_problem(f"app/{number}.py", "1") for number in range(6)])

    assert [(concern.rule, concern.files, concern.findings) for concern in plan.concerns] == [("ruff/b006", 6, 6)]


def test_an_empty_repository_has_an_empty_plan() -> None:
    plan = make_plan(snapshot(REPOSITORY, [], []))

    assert (plan.tasks, plan.concerns, plan.summary) == ((), (), "No file of this repository has an analysis.")


def test_a_review_of_the_longest_paths_is_still_a_fact() -> None:
    files = [a_file("\\x" * 8000 + f"/{number}.py", complexity=90) for number in range(60)]
    problems = [
        a_problem(file.path, f"{rule} {n}", rule=f"ruff/{rule}")
        for file in files
        for rule in range(14)
        for n in range(2)
    ]
    plan = plan_of(problems, files)
    review = review_of(plan, repository_id=REPOSITORY, scan_id="s1", partial=False, reviewed_at=MOMENT)

    assert len(encode(review)) <= MAX_FACT_BYTES
    assert all(len(each.task.model_dump_json()) < MAX_FACT_BYTES - 4096 for each in plan.tasks)
