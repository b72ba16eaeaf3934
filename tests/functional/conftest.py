"""Fixtures of the functional tests: a scripted provider, and the real daemon in front of it.

    provider   a started scripted provider
    setup      config.json of the `daemon` fixture: providers "chatty" (openai: m-one, m-two) and
               "claudish" (anthropic: c-one, c-two), both at `provider`; default model m-one
    daemon     the daemon started with it, each provider's key (a canary) in its vault
    start_daemon   starts further daemons, or ones with another configuration
"""

import os

import pytest

from daemon import Daemon, config_for, provider_row
from provider import Provider


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_root: skipped unless run as root")


def pytest_runtest_setup(item):
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")


def pytest_sessionfinish(session, exitstatus):
    """A run in which every test was skipped says so to ctest (77), instead of passing."""
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    ran = any(reporter.stats.get(outcome) for outcome in ("passed", "failed", "error"))
    if exitstatus == 0 and not ran and reporter.stats.get("skipped"):
        session.exitstatus = 77


@pytest.fixture
def make_provider():
    """Makes further scripted providers, stopped with the test."""
    made = []

    def make(**options):
        made.append(Provider(**options).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def provider(make_provider):
    return make_provider()


def rows_at(url):
    """The two providers most tests use, one for each dialect."""
    return (
        provider_row("chatty", url, ["m-one", "m-two"]),
        provider_row("claudish", url, ["c-one", "c-two"], kind="anthropic"),
    )


@pytest.fixture
def setup(provider):
    return config_for(*rows_at(provider.url), default="m-one")


FAILED = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Notes a failure on the test, so that its daemons' logs are shown."""
    outcome = yield
    if call.when == "call":
        item.stash[FAILED] = outcome.get_result().failed


@pytest.fixture
def start_daemon(request):
    """start_daemon(config, keys=(names...), **Daemon options); each is stopped and checked."""
    started = []

    def start(config=None, keys=(), **options):
        daemon = Daemon(config, **options)
        started.append(daemon)
        daemon.start()
        for name in keys:
            daemon.set_key(name)
        return daemon

    yield start
    try:
        for daemon in started:
            daemon.stop()
    finally:
        for daemon in started:
            if request.node.stash.get(FAILED, False):
                print(f"---- log of {daemon.home} ----\n{daemon.log[-8000:]}")
            daemon.discard()


@pytest.fixture
def daemon(start_daemon, setup):
    return start_daemon(setup, keys=("chatty", "claudish"))
