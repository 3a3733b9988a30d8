"""From code in a notebook to a revision at the gateway: capture, compare, upload, deploy, wait.

Called by handles when their code is not deployed or has changed. Everything that can be found out
here is found out before anything is sent: what cannot be pickled, modules the runner lacks, a
Python that differs.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_faas.client import answers, card, card_seen, control, place
from jupyter_faas.client.origin import origin
from jupyter_faas.client.plan import Known, reusable
from jupyter_faas.client.progress import Progress
from jupyter_faas.client.session import session
from jupyter_faas.client.waiting import Ticking, Waiting
from jupyter_faas.core import errors, model, requirements
from jupyter_faas.core.capture import Capture, capture

if TYPE_CHECKING:
    from jupyter_faas.client.card_seen import Seen
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.client.target import Target
    from jupyter_faas.client.views import Revision


_INTERRUPTED = "The revision goes on starting; the next call waits for it."


@dataclass(frozen=True)
class Wish:
    """How to deploy.

    Attributes:
        strategy: `rolling` or `recreate`.
        take_over: Take the name from another notebook.
        is_forced: Tell the gateway also if it runs this code already.
    """

    strategy: str = "rolling"
    take_over: bool = False
    is_forced: bool = False


@dataclass
class Deployed:
    """Code that is at the gateway under a name.

    Attributes:
        name: Of the function.
        number: Of the revision.
        is_pending: The revision is not known to be ready: calls wait for it.
        capture: What was captured; tells whether it is still the code here.
        progress: The card that is not finished before the revision is ready.
        is_superseded: Other code has been deployed under the name from here since.
        serving: The revisions that had the traffic before it, which keep it if it fails.
        seen: Source and values, for the card of the next revision; None: it has had no card.
        gateway: Where it is; None: nothing is asked of it for the card.
    """

    name: str
    number: int
    is_pending: bool
    capture: Capture
    progress: Progress | None = None
    serving: tuple[int, ...] = ()
    is_superseded: bool = False
    seen: Seen | None = None
    gateway: Gateway | None = None

    def finish(self) -> None:
        """Show that the revision is ready; once."""
        progress = self._last_progress()
        if progress is not None:
            progress.end("ready")
            self._measure(progress)
            session.display.finish(progress)

    def fail(self, reason: str) -> None:
        """Show why it is not ready; once."""
        progress = self._last_progress()
        if progress is not None:
            progress.fail(card.failure(reason, self.serving))
            session.display.finish(progress)

    def interrupt(self) -> None:
        """Show that nobody waits for the revision any more, if somebody did; `resume` goes on."""
        with session.lock:
            progress = self.progress if self.progress and self.progress.running else None
            if progress is not None:
                progress.interrupt(_INTERRUPTED)
        if progress is not None:
            session.display.finish(progress)

    def resume(self) -> None:
        """Somebody waits for it again."""
        with session.lock:
            if self.progress is not None:
                self.progress.resume()

    def _last_progress(self) -> Progress | None:
        """Return the card that is to end; None: it has, maybe in the thread that moves it."""
        with session.lock:
            progress, self.progress = self.progress, None
        return progress

    def _measure(self, progress: Progress) -> None:
        """Put on the card how long the start took by the gateway's own clock."""
        if self.gateway is None or not session.display.is_watched:
            return
        with contextlib.suppress(errors.FaasError, OSError):
            replica = control.first_start(self.gateway, self.name, self.number)
            if replica is not None:
                progress.measured(replica.how, replica.start_ms / 1000, replica.load_ms / 1000)


def captured(target: Target, *, is_elsewhere: bool = False) -> Capture:
    """Return what would be sent of a target, as it is now; nothing is raised for what is wrong.

    Args:
        target: What was decorated.
        is_elsewhere: Replicas do not run on this machine: its directories and its interpreter mean
            nothing there, and names of its environment that the code reads are reported.
    """
    settings = {**target.options.revision, "place": None if is_elsewhere else place.here()}
    return capture(target.code, name=target.code.__name__, settings=settings)


def ensure(target: Target, gateway: Gateway, wish: Wish) -> Deployed:
    """Make the code as it is here what answers to its name, if it does not already.

    Returns at once: a revision that is pending is waited for by the calls that name it, or by
    `wait_ready`.

    Raises:
        NotSerializable: Something the code refers to cannot be sent.
        MissingPackages: The runner lacks what it needs.
        EnvironmentMismatch: No runner has this Python.
        NameTaken: Another notebook has deployed the name since.
    """
    __tracebackhide__ = True
    progress = Progress(target.name, session.monotonic_s)
    try:
        with Ticking(progress):
            deployed = _ensure(target, gateway, wish, progress)
    except errors.NotSerializable:
        progress.end("refused")  # the tree has said why
        session.display.finish(progress)
        raise
    except BaseException as error:
        if isinstance(error, Exception):
            progress.fail(str(error))
        else:
            progress.interrupt("The next call deploys it.")
        session.display.finish(progress)
        raise
    if deployed.progress is None:
        progress.end("known")
        session.display.finish(progress)
    before = session.deployed.get((gateway.key, target.name))
    if before is not None:
        before.is_superseded = before.number != deployed.number
    session.deployed[gateway.key, target.name] = deployed
    return deployed


def wait_ready(deployed: Deployed, gateway: Gateway, timeout_s: float) -> Revision:
    """Wait until a revision is ready and return it; shows meanwhile what it waits for.

    Raises:
        FaasError: Why it will not get ready.
    """
    try:
        with Waiting(deployed, gateway):
            revision = control.settled(gateway, deployed.name, deployed.number, timeout_s)
    except Exception as lost:
        deployed.fail(str(lost))
        raise
    if revision.state is model.RevisionState.READY:
        deployed.finish()
        deployed.is_pending = False
        return revision
    error = _not_ready(revision, timeout_s, deployed.progress)
    deployed.fail(str(error))
    raise error


def _ensure(target: Target, gateway: Gateway, wish: Wish, progress: Progress) -> Deployed:
    __tracebackhide__ = True
    progress.begin("capture")
    code = captured(target, is_elsewhere=gateway.is_elsewhere)
    if not code.report.is_sendable:
        session.display.report(code.report)
    code.raise_for_problems()
    for handle in code.handles:
        handle.ensure_deployed()
    known = control.known(gateway, target.name)
    if not wish.is_forced:
        here = origin(target.cell, session.id)
        revision = reusable(known, code.id, target.options.settings, here)
        if revision is not None:
            is_pending = revision.state is model.RevisionState.PENDING
            return Deployed(target.name, revision.number, is_pending, code)
    if code.report.needs_attention:
        session.display.report(code.report)
    _check_environment(target, code, gateway)
    progress.begin("upload")
    session.display.update(progress)
    control.upload(gateway, code.package.digest, code.package.parts(), code.package.size_bytes)
    code.package.release()
    progress.begin("start")
    session.display.update(progress)
    answer = control.deploy(gateway, target.name, _request(target, code, gateway, wish))
    return _began(target, code, gateway, answer, known, progress)


def _check_environment(target: Target, code: Capture, gateway: Gateway) -> None:
    """Compare what the code needs with what runners have, before anything is sent."""
    __tracebackhide__ = True
    is_elsewhere = gateway.is_elsewhere
    if target.options.revision["image"] is not None:
        return  # what is in an image of its own is known to nobody here
    needs = target.options.revision["packages"] or code.code.modules
    if not needs and not is_elsewhere:
        return
    interpreter = "" if is_elsewhere else sys.executable
    with contextlib.suppress(errors.MissingPackages):
        _compare(target, code, gateway.inventory(code.code.python, interpreter), is_elsewhere)
        return
    # Something may have been installed since the gateway was asked.
    fresh = gateway.inventory(code.code.python, interpreter, is_fresh=True)
    _compare(target, code, fresh, is_elsewhere)


def _compare(target: Target, code: Capture, stock: control.Inventory, is_elsewhere: bool) -> None:
    __tracebackhide__ = True
    minor = ".".join(stock.python.split(".")[:2])
    if minor != code.code.python:
        raise errors.EnvironmentMismatch(
            f"{target.name} was written with Python {code.code.python}; the runner has {minor}. "
            f"Use a kernel with Python {minor}."
        )
    runner = requirements.IMAGE if is_elsewhere else requirements.HERE
    requirements.check_packages(target.options.revision["packages"], stock.modules, runner)
    available = {*stock.top_level, *sys.stdlib_module_names}
    used = [name.partition(".")[0] for name in code.code.modules]
    missing = [name for name in used if name not in available]
    requirements.check_modules(missing, target.name, runner)


def _request(target: Target, code: Capture, gateway: Gateway, wish: Wish) -> model.DeployRequest:
    seen = session.deployed.get((gateway.key, target.name))
    return model.DeployRequest(
        id=code.id,
        revision=code.spec,
        settings=target.options.settings,
        origin=origin(target.cell, session.id),
        seen=seen.number if seen else None,
        take_over=wish.take_over,
        strategy=wish.strategy,
    )


def _began(
    target: Target,
    code: Capture,
    gateway: Gateway,
    answer: model.DeployAnswer,
    known: Known | None,
    progress: Progress,
) -> Deployed:
    """Note what the gateway answered, and show the card unless nothing has changed."""
    revision = answer.revision
    was_live = known is not None and revision.number in known.function.traffic
    is_pending = revision.state is model.RevisionState.PENDING
    progress.revision = revision.number
    deployed = Deployed(target.name, revision.number, is_pending, code)
    if was_live and not is_pending:
        return deployed
    _describe(target, code, deployed, known, progress, gateway)
    deployed.progress, deployed.gateway = progress, gateway
    if known is not None:
        deployed.serving = tuple(n for n in known.function.traffic if n != revision.number)
    session.display.update(progress)
    if not is_pending:
        deployed.finish()
    return deployed


def _describe(
    target: Target,
    code: Capture,
    deployed: Deployed,
    known: Known | None,
    progress: Progress,
    gateway: Gateway,
) -> None:
    """Put on the card what is deployed, where, and what of it is new."""
    deployed.seen = card_seen.seen_of(target.code)
    before = session.deployed.get((gateway.key, target.name))
    earlier = known.by_number(known.function.latest) if known is not None else None
    changed: list[str] = []
    if earlier is not None and earlier.id != code.id:
        is_ours = before is not None and before.number == earlier.number
        was = before.seen if before is not None and is_ours else None
        changed, progress.diff = card.changed_since(earlier.spec, code, was, deployed.seen)
    place = (gateway.where or gateway.provider) if gateway.is_elsewhere else "local"
    progress.fields = card.fields(target, code, place, changed)
    if not gateway.url_note:  # an address that only this process opens is none for a shell
        progress.curl = card.curl_text(target, f"{gateway.url}{gateway.call_path(target.name)}")


def _not_ready(revision: Revision, timeout_s: float, progress: Progress | None) -> errors.FaasError:
    """Return why a revision is not ready."""
    if revision.problem is not None:
        return answers.with_load_lines(errors.from_problem(revision.problem), revision.function)
    if revision.state is model.RevisionState.FAILED:
        return errors.ProviderError(f"Revision {revision.number} is not ready: {revision.reason}")
    why = f": {progress.waiting}" if progress is not None and progress.waiting else ""
    return errors.ColdStartTimeout(
        f"Revision {revision.number} of {revision.function} is not ready after "
        f"{timeout_s:g} s{why}."
    )
