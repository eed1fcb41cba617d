"""Ending the server from inside, and what its exit status tells the supervisor."""

from collections.abc import Callable

__all__ = ["EXIT_REFUSED", "EXIT_RESTART", "EXIT_STOPPED", "Lifecycle"]

EXIT_STOPPED = 0  # asked to stop: the supervisor stops too
EXIT_REFUSED = 2  # cannot run with these options: starting again would not help
EXIT_RESTART = 3  # asked to start again


class Lifecycle:
    """Connects whoever may stop the server with the loop that runs it."""

    def __init__(self) -> None:
        self.exit_status = EXIT_STOPPED
        self._shut_down: Callable[[], None] | None = None

    def runs_with(self, shut_down: Callable[[], None]) -> None:
        """Tell how the running server is brought to its end."""
        self._shut_down = shut_down

    @property
    def can_stop(self) -> bool:
        """Whether a server is running that can be stopped."""
        return self._shut_down is not None

    def stop(self, exit_status: int = EXIT_STOPPED) -> None:
        """Finish the answers under way, then exit with the status."""
        self.exit_status = exit_status
        if self._shut_down is not None:
            self._shut_down()
