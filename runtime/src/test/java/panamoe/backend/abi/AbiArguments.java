package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import panamoe.backend.abi.AbiSignature.Parameter;
import panamoe.bindings.Moe;
import panamoe.bindings.moe_activation_config;
import panamoe.bindings.moe_blocks;
import panamoe.bindings.moe_gate_config;
import panamoe.bindings.moe_tensor;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

/** Random valid arguments of an {@link AbiSignature}. */
final class AbiArguments {
  private static final long MOST_BYTES = 1 << 16;
  private static final int NO_ACTIVATION = -1;

  private final RandomGenerator random;
  private final GuardedMemory memory;
  private final long device;
  private final AbiSizes sizes;
  private final DType floating;
  private final int kind; // of activation, or none; chosen first, because sizes follow from it
  private final Map<String, Boolean> absent = new HashMap<>();
  private final List<Integer> experts = new ArrayList<>();

  private AbiArguments(RandomGenerator random, GuardedMemory memory, long device) {
    this.random = random;
    this.memory = memory;
    this.device = device;
    sizes = new AbiSizes(random);
    floating = anyFloating();
    kind = random.nextInt(NO_ACTIVATION, Moe.MOE_GEGLU_TANH() + 1);
    sizes.follow("activation", kind);
  }

  static List<AbiArgument> random(
      AbiSignature signature,
      RandomGenerator random,
      GuardedMemory memory,
      long device,
      long stream) {
    AbiArguments chosen = new AbiArguments(random, memory, device);
    return chosen.arguments(signature.parameters(), stream);
  }

  private List<AbiArgument> arguments(List<Parameter> parameters, long stream) {
    return parameters.stream().map(parameter -> argument(parameter, stream)).toList();
  }

  private AbiArgument argument(Parameter parameter, long stream) {
    Object value =
        switch (parameter) {
          case Parameter.Stream _ -> stream;
          case Parameter.Config(String name, boolean optional) ->
              switch (name) {
                case "activation" -> activation(optional);
                case "blocks" -> blocks();
                default -> config();
              };
          case Parameter.Int(String name, int low, int high) -> {
            int number = random.nextInt(low, high + 1);
            sizes.follow(name, number);
            yield number;
          }
          case Parameter.Long(long low, long high) -> random.nextLong(low, high + 1);
          case Parameter.Float(float low, float high) -> random.nextFloat(low, high);
          case Parameter.Struct struct -> {
            if (struct.optional() && kind == NO_ACTIVATION && random.nextBoolean()) {
              yield MemorySegment.NULL;
            }
            yield null;
          }
          case Parameter.Tensor tensor ->
              isAbsent(tensor.optional()) ? MemorySegment.NULL : tensor(tensor);
        };
    return value == null
        ? AbiArgument.struct(
            (Parameter.Struct) parameter,
            arguments(((Parameter.Struct) parameter).members(), stream),
            memory)
        : new AbiArgument(parameter, value);
  }

  private boolean isAbsent(String optional) {
    return switch (optional) {
      case "" -> false;
      case "?" -> random.nextBoolean();
      default -> absent.computeIfAbsent(optional, _ -> random.nextBoolean());
    };
  }

  private MemorySegment activation(boolean optional) {
    if (optional && kind == NO_ACTIVATION) {
      return MemorySegment.NULL;
    }
    MemorySegment config = memory.allocate(moe_activation_config.sizeof());
    moe_activation_config.struct_size(config, (int) moe_activation_config.sizeof());
    Moe.moe_activation_config_default(config);
    moe_activation_config.kind(config, Math.max(kind, Moe.MOE_IDENTITY()));
    if (kind == Moe.MOE_SWIGLU() && random.nextBoolean()) {
      moe_activation_config.limit(config, random.nextFloat(0.1f, 8));
      moe_activation_config.alpha(config, random.nextFloat(-2, 2));
      moe_activation_config.up_offset(config, random.nextFloat(-2, 2));
    }
    return config;
  }

  /** Blocks that lie one after the other in y. */
  private MemorySegment blocks() {
    MemorySegment blocks = memory.allocate(moe_blocks.sizeof());
    moe_blocks.struct_size(blocks, (int) moe_blocks.sizeof());
    int count = random.nextInt(5);
    moe_blocks.count(blocks, count);
    long row = 0;
    for (int i = 0; i < count; i++) {
      long rows = random.nextLong(Math.min(sizes.get('R'), sizes.get('S') - row) + 1);
      moe_blocks.from(blocks, i, random.nextLong(sizes.get('R') - rows + 1));
      moe_blocks.to(blocks, i, row);
      moe_blocks.rows(blocks, i, rows);
      row += rows;
    }
    return blocks;
  }

  private MemorySegment config() {
    MemorySegment config = memory.allocate(moe_gate_config.sizeof());
    moe_gate_config.struct_size(config, (int) moe_gate_config.sizeof());
    Moe.moe_gate_config_default(config);
    int topK = (int) sizes.get('T');
    int groups = sizes.get('E') % 2 == 0 && topK == 1 ? random.nextInt(1, 3) : 1;
    moe_gate_config.top_k(config, topK);
    moe_gate_config.score(config, random.nextInt(2));
    moe_gate_config.drop_policy(config, random.nextInt(5));
    moe_gate_config.queue_order(config, random.nextInt(2));
    moe_gate_config.normalization(config, random.nextInt(3));
    moe_gate_config.capacity(config, random.nextInt(6));
    moe_gate_config.groups(config, groups);
    moe_gate_config.chosen_groups(config, random.nextInt(1, groups + 1));
    moe_gate_config.group_score(config, random.nextInt(2));
    moe_gate_config.auxiliary_choices(config, random.nextInt(1, topK + 1));
    moe_gate_config.noise_first_choice(config, random.nextInt(topK));
    return config;
  }

  private MemorySegment tensor(Parameter.Tensor parameter) {
    long[] shape = sizes.shape(parameter.sizes());
    DType dtype = dtype(parameter.type());
    boolean packed =
        parameter.type() == 'w' && (parameter.name().equals("packed") || random.nextBoolean());
    long bytes = packed ? packedBytes(dtype, shape) : bytes(dtype, shape);
    MemorySegment data = memory.allocate(Math.clamp(bytes, 0, MOST_BYTES));
    fill(data, dtype, parameter.content());
    return descriptor(dtype, shape, packed, data);
  }

  private DType dtype(char type) {
    return switch (type) {
      case 'F' -> DType.FLOAT32;
      case 'B' -> DType.BFLOAT16;
      case 'i' -> DType.INT32;
      case 'u' -> DType.UINT8;
      case 'd' -> DType.FLOAT64;
      case 'g' -> floating;
      case 'c' -> isAbsent("?9") ? floating : DType.INT8;
      default -> anyFloating();
    };
  }

  private DType anyFloating() {
    return random.nextBoolean() ? DType.FLOAT32 : DType.BFLOAT16;
  }

  private static long bytes(DType dtype, long[] shape) {
    return Arrays.stream(shape).anyMatch(size -> size == 0)
        ? 0
        : Arrays.stream(shape)
            .reduce(dtype.bytes(), (a, b) -> a > MOST_BYTES / b ? MOST_BYTES : a * b);
  }

  private long packedBytes(DType dtype, long[] shape) {
    MemorySegment numbers = memory.allocate(8L * (shape.length + 1));
    MemorySegment.copy(shape, 0, numbers, ValueLayout.JAVA_LONG, 8, shape.length);
    Moe.moe_gemm_packed_bytes(device, dtype.code(), shape.length, numbers.asSlice(8), numbers);
    return numbers.get(ValueLayout.JAVA_LONG, 0);
  }

  private void fill(MemorySegment data, DType dtype, String content) {
    for (int i = 0; i < data.byteSize() / dtype.bytes(); i++) {
      switch (dtype) {
        case FLOAT32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
        case BFLOAT16 ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, BFloat16.fromFloat((float) random.nextGaussian()));
        case INT32 -> data.setAtIndex(ValueLayout.JAVA_INT, i, index(content, i));
        case UINT8, INT8 -> data.set(ValueLayout.JAVA_BYTE, i, (byte) index(content, i));
        case FLOAT64 -> data.setAtIndex(ValueLayout.JAVA_DOUBLE, i, random.nextGaussian());
        default -> throw new IllegalArgumentException(dtype + " has no elements of its own");
      }
    }
  }

  private int index(String content, int i) {
    return switch (content) {
      case "" -> random.nextInt();
      case "@offsets" -> i < sizes.get('A') ? sizes.offset(i) : 0;
      case "@expert" -> {
        if (i == experts.size()) {
          experts.add(sizes.expert());
        }
        yield experts.get(i);
      }
      case "@position" -> sizes.position(experts.get(i));
      default -> {
        int low = content.startsWith("-") ? -1 : 0;
        char last = content.charAt(content.length() - 1);
        long high = Character.isDigit(last) ? last - '0' : sizes.get(last);
        yield (int) random.nextLong(low, Math.max(high, low + 1));
      }
    };
  }

  private MemorySegment descriptor(DType dtype, long[] shape, boolean packed, MemorySegment data) {
    MemorySegment descriptor = memory.allocate(moe_tensor.sizeof());
    moe_tensor.struct_size(descriptor, (int) moe_tensor.sizeof());
    moe_tensor.dtype(descriptor, dtype.code());
    moe_tensor.data(descriptor, data);
    moe_tensor.bytes(descriptor, data.byteSize());
    moe_tensor.rank(descriptor, shape.length);
    moe_tensor.layout(descriptor, packed ? 1 : 0);
    for (int axis = 0; axis < shape.length; axis++) {
      moe_tensor.shape(descriptor, axis, shape[axis]);
    }
    return descriptor;
  }
}
