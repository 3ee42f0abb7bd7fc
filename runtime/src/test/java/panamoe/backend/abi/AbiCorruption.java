package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.backend.abi.AbiSignature.Parameter;
import panamoe.bindings.moe_tensor;

/**
 * Spoils one argument of a call. The only promise kept is the caller's own: a pointer that is not
 * null points to at least as many bytes as its descriptor says.
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

  void spoil(List<Parameter> parameters, Object[] arguments) {
    spoil(parameters, arguments, tensors(parameters, arguments).toList());
  }

  /** {@code tensors} are all those of the call. */
  private void spoil(List<Parameter> parameters, Object[] arguments, List<MemorySegment> tensors) {
    int i = random.nextInt(arguments.length);
    arguments[i] =
        switch (parameters.get(i)) {
          case Parameter.Stream _ -> handle();
          case Parameter.Struct(List<Parameter> fields) ->
              spoilStruct(fields, arguments[i], tensors);
          case Parameter.Int _ -> number();
          case Parameter.Long _ -> size();
          case Parameter.Float _ -> FLOATS[random.nextInt(FLOATS.length)];
          case Parameter.Config _ ->
              isNull(arguments[i]) ? arguments[i] : spoilConfig((MemorySegment) arguments[i]);
          case Parameter.Tensor _ ->
              isNull(arguments[i])
                  ? arguments[i]
                  : spoilTensor((MemorySegment) arguments[i], tensors);
        };
  }

  private Object spoilStruct(List<Parameter> fields, Object struct, List<MemorySegment> tensors) {
    if (isNull(struct) || random.nextInt(16) == 0) {
      return MemorySegment.NULL;
    }
    spoil(fields, (Object[]) struct, tensors);
    return struct;
  }

  /** The tensors of a call that are not null, those inside structs included. */
  private static Stream<MemorySegment> tensors(List<Parameter> parameters, Object[] arguments) {
    return IntStream.range(0, arguments.length)
        .filter(i -> !isNull(arguments[i]))
        .boxed()
        .flatMap(
            i ->
                switch (parameters.get(i)) {
                  case Parameter.Tensor _ -> Stream.of((MemorySegment) arguments[i]);
                  case Parameter.Struct(List<Parameter> fields) ->
                      tensors(fields, (Object[]) arguments[i]);
                  default -> Stream.empty();
                });
  }

  private static boolean isNull(Object argument) {
    return argument.equals(MemorySegment.NULL);
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

  private MemorySegment spoilTensor(MemorySegment tensor, List<MemorySegment> tensors) {
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
      case 9 -> shareMemory(tensor, tensors.get(random.nextInt(tensors.size())));
      case 10 -> spoilContents(tensor);
      default -> {
        return MemorySegment.NULL;
      }
    }
    return tensor;
  }

  /** Moves the tensor, with its contents, into the memory of {@code other}, at a random place. */
  private void shareMemory(MemorySegment tensor, MemorySegment other) {
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
