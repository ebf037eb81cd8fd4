"""A hint to the processor that a place in memory will be read: the only instruction that numba has no word for."""

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _typed(typingctx: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(made.data, [arguments[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, word(0), word(2), word(1)])  # to read, into the second-level cache, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _nothing(array: Any, index: int) -> None:
    """Where nothing is compiled."""


DISABLED = numba.config.DISABLE_JIT  # type: ignore[attr-defined]
prefetch: Any = _nothing if DISABLED else intrinsic(_typed)  # (array, index): the line of array[index], contiguous
