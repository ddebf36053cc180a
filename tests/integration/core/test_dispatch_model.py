"""The dispatcher against a model that knows nothing of turns: whatever is submitted, canceled, paused, limited or ended in between,
it never starts a job that it must not, and never leaves one that it could start.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any

from house import LIFE, job_row, tenant
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import delete, insert, select, update
from sqlmodel import SQLModel, col

from jobs.db import Database, after
from jobs.limits import Rule
from jobs.models import Bucket, Job, Pause
from jobs.queries import limits, pauses, release
from jobs.queries.release import House
from jobs.states import MODALITIES, JobState

KEYS = {"main": 2.0, "spare": 1.0}
KINDS = (
    ("kling", "kling.text_to_video", "video"),
    ("kling", "kling.image_generation", "image"),
    ("suno", "suno.music", "music"),
    ("openai", "openai.image_generation", "image"),
)
WINDOWS = dict.fromkeys(MODALITIES, 6)
SCOPES: tuple[dict[str, Any], ...] = (
    {},
    {"provider": "kling"},
    {"provider": "kling", "each_key": True},
    {"key_name": "main"},
    {"operation": "suno.music"},
    {"tenant_id": "0"},
)


class Dispatching(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.moment = datetime(2026, 11, 26, 12, tzinfo=UTC)
        self.folder = TemporaryDirectory()
        self.database = Database(f"sqlite:///{self.folder.name}/model.db", clock=lambda: self.moment)
        SQLModel.metadata.create_all(self.database.engine)
        self.tenants = [tenant(self.database, name) for name in "abc"]
        for who in range(3):
            for kind in KINDS:
                self._add(kind, who, 3)
        self.house = House(windows=WINDOWS, keys_of=lambda _: KEYS, ageing_s=60, hint_s=30)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.dispose()
            self.folder.cleanup()

    # What happens to it -----------------------------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from(KINDS),
        who=st.integers(0, 2),
        count=st.integers(1, 6),
        units=st.integers(1, 3),
        priority=st.integers(-2, 2),
        later_s=st.sampled_from([0, 0, 0, 40]),
    )
    def submit(self, kind: tuple[str, str, str], who: int, count: int, units: int, priority: int, later_s: int) -> None:
        self._add(kind, who, count, units, priority, later_s)

    def _add(self, kind: tuple[str, str, str], who: int, count: int, units: int = 1, priority: int = 0, later_s: int = 0) -> None:
        provider, operation, modality = kind
        at = self.moment + timedelta(seconds=later_s)
        rows = [
            job_row(
                self.tenants[who],
                provider=provider,
                operation=operation,
                modality=modality,
                units=units,
                priority=priority,
                due_at=at,
                rank_at=at - timedelta(seconds=60 * priority),
            )
            for _ in range(count)
        ]
        with self.database.transaction() as session:
            session.execute(insert(Job), rows)

    @rule(place=st.integers(0, 30))
    def cancel(self, place: int) -> None:
        if jobs := self._jobs(JobState.QUEUED):
            with self.database.transaction() as session:
                assert LIFE.move(session, jobs[place % len(jobs)].id, "cancel", actor="user")

    @rule(place=st.integers(0, 30))
    def a_provider_is_done(self, place: int) -> None:
        if jobs := [job for job in self._jobs(JobState.QUEUED) if job.reserved]:
            with self.database.transaction() as session:
                session.execute(
                    update(Job)
                    .where(col(Job.id) == jobs[place % len(jobs)].id)
                    .values(status=JobState.COLLECTING, reserved=False, released_at=None, due_at=None)
                )

    @rule(place=st.integers(0, 30))
    def a_message_is_lost(self, place: int) -> None:
        if jobs := [job for job in self._jobs(JobState.QUEUED) if job.reserved]:
            with self.database.transaction() as session:
                session.execute(update(Job).where(col(Job.id) == jobs[place % len(jobs)].id).values(due_at=after(-1)))
                assert release.take_back_lost_hints(session) == 1

    @rule(
        what=st.sampled_from(
            [("provider", "kling"), ("operation", "suno.music"), ("tenant", ""), ("key", "main"), ("key", "spare")]
        )
    )
    def pause_or_resume(self, what: tuple[str, str]) -> None:
        kind, name = what[0], what[1] or self.tenants[0]
        with self.database.transaction() as session:
            if pauses.lift(session, pauses.scope_of(kind, name)) is None:
                pauses.put(session, kind, name, reason="a test", actor="test")

    @rule(
        scope=st.sampled_from(SCOPES), concurrency=st.one_of(st.none(), st.integers(3, 7)), rate=st.sampled_from([None, 1.0, 3.0])
    )
    def limit(self, scope: dict[str, Any], concurrency: int | None, rate: float | None) -> None:
        named = scope | ({"tenant_id": self.tenants[0]} if "tenant_id" in scope else {})
        with self.database.transaction() as session:
            session.execute(delete(Bucket))
            if concurrency is None and rate is None:
                limits.remove(session, limits.Selectors(**named).scope)
            else:
                limits.put(session, **named, concurrency=concurrency, per_second=rate)

    @rule(seconds=st.sampled_from([0.3, 1.0, 30.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        # What is on its way stays there: lost messages are a rule of their own.
        with self.database.transaction() as session:
            session.execute(update(Job).where(col(Job.reserved)).values(due_at=after(30)))

    @invariant()
    def a_round(self) -> None:
        """After whatever happened."""
        if not hasattr(self, "database"):
            return
        before = {job.id for job in self._jobs(JobState.QUEUED) if job.reserved}
        used_before = self._used()
        with self.database.transaction() as session:
            paused = list(session.scalars(select(Pause)))
            rules = limits.rules(session)
            tokens = limits.levels(session, self.moment)
            made = release.release(session, self.house)
        assert made.never == {}
        started = [job for job in self._jobs(JobState.QUEUED) if job.reserved and job.id not in before]
        assert {job.id for job in started} == {ticket.job_id for ticket in made.tickets}
        self._none_started_that_must_not(started, paused, rules, used_before, tokens)
        self._none_left_that_could(paused, rules)

    # What must hold ---------------------------------------------------------------------------------------------------

    def _none_started_that_must_not(
        self, started: list[Job], paused: list[Pause], rules: tuple[Rule, ...], used_before: Counter[Any], tokens: dict[str, float]
    ) -> None:
        used = self._used()
        for job in started:
            assert job.rank_at + timedelta(seconds=60 * job.priority) <= self.moment, "not before its time"
            assert not self._is_paused(job, job.key_name or "", paused)
        for one in rules:
            for key in KEYS if one.each_key else ("",):
                total = self._units(used, one, key)
                # What was under way when a limit got lower goes on.
                assert one.concurrency is None or total <= max(one.concurrency, self._units(used_before, one, key))
                mine = [job for job in started if one.fits(*self._names(job)) and (not key or job.key_name == key)]
                for rate in one.rates:
                    assert len(mine) <= max(1.0, rate) + 1e-9

    def _none_left_that_could(self, paused: list[Pause], rules: tuple[Rule, ...]) -> None:
        """Whoever is left behind has something in the way: a pause, a full window, a limit that is used up or kept for another."""
        with self.database.read() as session:
            tokens = limits.levels(session, self.moment)
        jobs = self._jobs(JobState.QUEUED)
        used = self._used()
        busy = Counter(job.modality for job in jobs if job.reserved)
        left = [job for job in jobs if not job.reserved and job.due_at is not None and job.due_at <= self.moment]
        for job in left:
            if busy[job.modality] >= WINDOWS[job.modality]:
                continue
            for key in KEYS:
                assert (
                    self._is_paused(job, key, paused)
                    or any(self._is_short(one, job, key, used, tokens, left) for one in rules)
                    or self._stands_behind(job, left, paused, rules, used, tokens)
                ), f"{job.operation} of {job.units} units could start with {key}"

    def _is_short(self, one: Rule, job: Job, key: str, used: Counter[Any], tokens: dict[str, float], left: list[Job]) -> bool:
        if not one.fits(job.tenant_id, job.provider, job.operation, key):
            return False
        counted_for = key if one.each_key else ""
        rest = None if one.concurrency is None else one.concurrency - self._units(used, one, counted_for)
        if rest is not None and job.units > rest:
            return True
        if any(
            tokens.get(f"{one.scope}{f' key={key}' if one.each_key else ''} {rate:g}/s", max(1.0, rate)) < 1 for rate in one.rates
        ):
            return True
        # Kept for a larger one that waits for it.
        others = [other for other in left if one.fits(other.tenant_id, other.provider, other.operation, key)]
        return rest is not None and any(other.units > rest for other in others)

    def _stands_behind(
        self, job: Job, left: list[Job], paused: list[Pause], rules: tuple[Rule, ...], used: Counter[Any], tokens: dict[str, float]
    ) -> bool:
        """One lane starts in order: the first of it has something in the way."""
        lane = [other for other in left if (other.tenant_id, other.operation) == (job.tenant_id, job.operation)]
        first = min(lane, key=lambda other: (other.rank_at, other.id))
        return first.id != job.id and all(
            self._is_paused(first, key, paused) or any(self._is_short(one, first, key, used, tokens, left) for one in rules)
            for key in KEYS
        )

    @invariant()
    def no_window_is_overfull(self) -> None:
        if hasattr(self, "database"):
            busy = Counter(job.modality for job in self._jobs(JobState.QUEUED) if job.reserved)
            assert all(count <= WINDOWS[modality] for modality, count in busy.items())

    @staticmethod
    def _is_paused(job: Job, key: str, paused: list[Pause]) -> bool:
        names = {"provider": job.provider, "operation": job.operation, "tenant": job.tenant_id, "key": key}
        return any(names[one.kind] == one.name for one in paused)

    @staticmethod
    def _names(job: Job) -> tuple[str, str, str, str]:
        return job.tenant_id, job.provider, job.operation, job.key_name or ""

    def _units(self, used: Counter[Any], one: Rule, key: str) -> int:
        return sum(units for names, units in used.items() if one.fits(*names) and (not key or names[3] == key))

    def _used(self) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for job in self._jobs(JobState.QUEUED):
            if job.reserved:
                found[self._names(job)] += job.units
        return found

    def _jobs(self, status: JobState) -> list[Job]:
        with self.database.read() as session:
            return list(session.scalars(select(Job).where(col(Job.status) == status).order_by(col(Job.id))))


Dispatching.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDispatching = Dispatching.TestCase
