"""How far long work is."""

import sys
import time


class Progress:
    """A line on stderr with what is done, the rate and the time left.

    It is redrawn on a terminal; elsewhere a new one comes every 20 s and at the end."""

    def __init__(self, what, total, unit="images", shown=True):
        """what: the line begins with it; total: 0 where it is not known."""
        self.what, self.total, self.unit = what, total, unit
        self.shown, self.terminal = shown, sys.stderr.isatty()
        self.first = None  # (done, time) after the first call, before which things compile
        self.drawn = time.monotonic()

    def update(self, done):
        """Says that so many are done."""
        now, at_end = time.monotonic(), done == self.total
        self.first = self.first or (done, now)
        pause = 0.5 if self.terminal else 20
        if not self.shown or now - self.drawn < pause and not at_end:
            return
        self.drawn = now
        rate = (done - self.first[0]) / max(now - self.first[1], 1e-9)
        line = f"{self.what}: {done} of {self.total or 'unknown'} {self.unit}"
        if rate > 0:
            line += f", {rate:.1f} {self.unit}/s"
            line += f", {(self.total - done) / rate:.0f} s left" if done < self.total else ""
        if self.terminal:
            line = f"\r\033[K{line}"
        end = "" if self.terminal and not at_end else "\n"
        print(line, end=end, file=sys.stderr, flush=True)
