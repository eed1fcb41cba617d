"""What a power cut may take back, and what it may not."""

from pathlib import Path

from modules.jobs.store import JobStore


def _synchronous(store: JobStore) -> int:
    return int(store.rows("PRAGMA synchronous")[0][0])


def test_transactions_wait_for_the_disk_but_those_that_need_not(tmp_path: Path) -> None:
    full, normal = 2, 1
    store = JobStore(tmp_path / "jobs.sqlite")
    inside = []
    for durable in (True, False, True):
        with store.transaction(durable=durable) as db:
            inside.append(db.execute("PRAGMA synchronous").fetchone()[0])
    assert inside == [full, normal, full]
    assert _synchronous(store) == full
    store.close()


def test_the_next_transaction_waits_again_after_one_that_failed(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    try:
        with store.transaction(durable=False):
            raise KeyError
    except KeyError:
        pass
    assert _synchronous(store) == 2
    store.close()
