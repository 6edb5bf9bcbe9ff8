from typing import Self

FORM: int

class Judge:
    def __new__(cls, seed: int, plainly: bool = False, /) -> Self: ...
    def begin(self, block: bytes, /) -> list[tuple[int, bytes, list[int]]]: ...
    def end(
        self, answers: list[list[bool]], /
    ) -> tuple[int, list[tuple[int, int, int, list[int] | None]], list[tuple[int, int]]]: ...
    def observe(self, sample: bytes, /) -> None: ...
    def counts(self, shape: int, /) -> tuple[int, bytes]: ...
    def shape(
        self,
        name: bytes,
        fronts: list[bytes],
        asked: bytes,
        sets: bytes,
        least: bytes,
        off: bytes,
        columns: list[tuple[bytes, ...]],
        patterns: bytes,
        globs: bytes,
        classes: bytes,
        table: bytes,
        machines: bytes,
        code: bytes,
        rules: bytes,
        free: bytes,
        gate_starts: bytes,
        gates: bytes,
        /,
    ) -> int: ...

def count_lines(data: bytes, /) -> int: ...
