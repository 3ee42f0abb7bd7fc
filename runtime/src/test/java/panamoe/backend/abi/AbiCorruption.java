package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.random.RandomGenerator;
import panamoe.backend.abi.AbiSignature.Parameter;
import panamoe.bindings.moe_tensor;

/**
 * Corrupts one argument of a call. It keeps only the caller's promise that a pointer that is not
 * null points to the bytes of its descriptor.
 */
final class AbiCorruption {
  private static final long[] SIZES = {
    -1, 0, 1, 2, 3, 7, 16, 1 << 20, 1L << 31, 1L << 40, 1L << 62, Long.MIN_VALUE
  };
  private static final int[] NUMBERS = {
    -1, 0, 1, 2, 3, 5, 64, 1000, Integer.MAX_VALUE, Integer.MIN_VALUE
  };
  private static final float[] FLOATS = {
    Float.NaN,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    Float.MAX_VALUE,
    Float.MIN_VALUE,
    -0.0f,
    -1
  };

  private final RandomGenerator random;
  private final long[] foreignHandles;

  /** {@code foreignHandles} are handles that are closed or of another type. */
  AbiCorruption(RandomGenerator random, long... foreignHandles) {
    this.random = random;
    this.foreignHandles = foreignHandles;
  }

  void spoil(List<AbiArgument> arguments) {
    List<AbiArgument> all = arguments.stream().flatMap(AbiArgument::all).toList();
    AbiArgument one = all.get(random.nextInt(all.size()));
    if (one.isNull()) {
      return;
    }
    switch (one.parameter) {
      case Parameter.Stream _ -> one.value = handle();
      case Parameter.Int _ -> one.value = number();
      case Parameter.Long _ -> one.value = size();
      case Parameter.Float _ -> one.value = FLOATS[random.nextInt(FLOATS.length)];
      case Parameter.Config _ -> one.value = spoilConfig((MemorySegment) one.value);
      case Parameter.Struct _ -> {
        if (random.nextBoolean()) {
          one.structSize = number();
        } else {
          one.value = MemorySegment.NULL;
        }
      }
      case Parameter.Tensor _ -> one.value = spoilTensor((MemorySegment) one.value, all);
    }
  }

  private int number() {
    return random.nextInt(4) == 0 ? random.nextInt() : NUMBERS[random.nextInt(NUMBERS.length)];
  }

  private long size() {
    return random.nextInt(4) == 0 ? random.nextLong() : SIZES[random.nextInt(SIZES.length)];
  }

  private long handle() {
    return random.nextBoolean()
        ? random.nextLong()
        : foreignHandles[random.nextInt(foreignHandles.length)];
  }

  private MemorySegment spoilConfig(MemorySegment config) {
    if (random.nextInt(16) == 0) {
      return MemorySegment.NULL;
    }
    config.setAtIndex(ValueLayout.JAVA_INT, random.nextLong(config.byteSize() / 4), number());
    return config;
  }

  private MemorySegment spoilTensor(MemorySegment tensor, List<AbiArgument> all) {
    switch (random.nextInt(12)) {
      case 0 -> moe_tensor.struct_size(tensor, number());
      case 1 -> moe_tensor.dtype(tensor, random.nextBoolean() ? random.nextInt(5) : number());
      case 2 -> moe_tensor.rank(tensor, random.nextBoolean() ? random.nextInt(5) : number());
      case 3 -> moe_tensor.layout(tensor, random.nextBoolean() ? 1 : number());
      case 4, 5 -> {
        int axis = random.nextInt(4);
        long size = moe_tensor.shape(tensor, axis);
        moe_tensor.shape(
            tensor, axis, random.nextBoolean() ? size + random.nextInt(-2, 3) : size());
      }
      case 6 -> moe_tensor.bytes(tensor, Math.min(moe_tensor.bytes(tensor), size()));
      case 7 -> moe_tensor.data(tensor, MemorySegment.NULL);
      case 8 -> {
        if (moe_tensor.data(tensor).address() != 0) {
          moe_tensor.data(tensor, moe_tensor.data(tensor).asSlice(1));
          moe_tensor.bytes(tensor, Math.max(0, moe_tensor.bytes(tensor)) - 1);
        }
      }
      case 9 -> shareMemory(tensor, all);
      case 10 -> spoilContents(tensor);
      default -> {
        return MemorySegment.NULL;
      }
    }
    return tensor;
  }

  /** Moves the tensor, with its contents, into the memory of another one, at a random offset. */
  private void shareMemory(MemorySegment tensor, List<AbiArgument> all) {
    MemorySegment[] others =
        all.stream()
            .filter(each -> each.parameter instanceof Parameter.Tensor && !each.isNull())
            .map(each -> (MemorySegment) each.value)
            .toArray(MemorySegment[]::new);
    MemorySegment other = others[random.nextInt(others.length)];
    long bytes = Math.max(0, moe_tensor.bytes(other));
    if (moe_tensor.data(tensor).address() == 0 || moe_tensor.data(other).address() == 0) {
      return;
    }
    long from = random.nextBoolean() ? 0 : random.nextLong(bytes / 4 + 1) * 4;
    MemorySegment place = moe_tensor.data(other).asSlice(from);
    long moved = Math.clamp(moe_tensor.bytes(tensor), 0, bytes - from);
    MemorySegment.copy(moe_tensor.data(tensor), 0, place, 0, moved);
    moe_tensor.data(tensor, place);
    moe_tensor.bytes(tensor, bytes - from);
  }

  private void spoilContents(MemorySegment tensor) {
    MemorySegment data = moe_tensor.data(tensor);
    long words = Math.max(0, moe_tensor.bytes(tensor)) / 4;
    if (data.address() % 4 != 0 || data.address() == 0 || words == 0) {
      return;
    }
    for (int i = random.nextInt(1, 4); i > 0; i--) {
      int value =
          random.nextBoolean()
              ? number()
              : Float.floatToRawIntBits(FLOATS[random.nextInt(FLOATS.length)]);
      data.setAtIndex(ValueLayout.JAVA_INT, random.nextLong(words), value);
    }
  }
}
