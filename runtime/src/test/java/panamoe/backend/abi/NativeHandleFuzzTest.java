package panamoe.backend.abi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.backend.abi.NativeAbiFuzzTest.assertRefusal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.LongUnaryOperator;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeLibrary;
import panamoe.bindings.moe_activation_config;
import panamoe.bindings.moe_device_info;
import panamoe.bindings.moe_runtime_kernel;
import panamoe.tensor.DType;

/**
 * The functions that take no tensors, called in random order with handles, pointers and memory that
 * are open, closed, foreign or made up. What is open at the end can be closed exactly once.
 */
class NativeHandleFuzzTest {
  static final Set<String> FUNCTIONS =
      Set.of(
          "moe_abi_version",
          "moe_last_error",
          "moe_device_open",
          "moe_device_close",
          "moe_device_describe",
          "moe_stream_create",
          "moe_stream_destroy",
          "moe_stream_query",
          "moe_stream_mark",
          "moe_stream_wait",
          "moe_stream_native",
          "moe_memory_allocate",
          "moe_memory_free",
          "moe_memory_trim",
          "moe_memory_usage_get",
          "moe_memory_write",
          "moe_memory_read",
          "moe_memory_zero",
          "moe_gemm_packed_bytes",
          "moe_activation_config_default",
          "moe_gate_config_default",
          "moe_runtime_kernel_install");
  private static final int CALLS = Integer.getInteger("panamoe.fuzz.calls", 100_000) / 2;
  private static final long SEED = Long.getLong("panamoe.fuzz.seed", 20220114);
  private static final long[] NUMBERS = {
    -1,
    0,
    1,
    2,
    3,
    63,
    64,
    4096,
    1 << 20,
    1L << 31,
    1L << 45,
    1L << 62,
    Long.MAX_VALUE,
    Long.MIN_VALUE
  };

  private final RandomGenerator random = new SplittableRandom(SEED);
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment out = arena.allocate(8, 8);
  private final MemorySegment struct = arena.allocate(moe_device_info.sizeof(), 8);
  private final MemorySegment shape = arena.allocate(ValueLayout.JAVA_LONG, 3);
  private final MemorySegment names = arena.allocateFrom("cpu");
  private final List<Long> devices = new ArrayList<>();
  private final List<Long> streams = new ArrayList<>();
  private final List<MemorySegment> memories = new ArrayList<>();
  private final MemorySegment moved = arena.allocate(64); // its halves, which may overlap
  private final int[] served = new int[16];

  @BeforeAll
  static void load() {
    NativeLibrary.ensureAvailable();
  }

  @Test
  void everyHandleIsServedOrRefused() {
    for (int i = 0; i < CALLS; i++) {
      call(random.nextInt(served.length));
    }
    for (int function = 0; function < served.length; function++) {
      assertTrue(
          served[function] > CALLS / 1000,
          "function " + function + " served " + served[function] + " calls");
    }
    for (long device : new ArrayList<>(Set.copyOf(devices))) {
      int first = Moe.moe_device_close(device);
      assertTrue(
          first == Moe.MOE_OK() || first == Moe.MOE_INVALID_HANDLE(),
          "closing gave status " + first);
      assertEquals(Moe.MOE_INVALID_HANDLE(), Moe.moe_device_close(device));
    }
  }

  /** Streams of the CPU never wait: their work is done. */
  @Test
  void marksAndWaitsTakeHandlesOfOneDevice() {
    long[] streams = new long[3];
    long[] devices = new long[2];
    for (int i = 0; i < devices.length; i++) {
      assertEquals(Moe.MOE_OK(), Moe.moe_device_open(names, 0, out));
      devices[i] = out.get(ValueLayout.JAVA_LONG, 0);
    }
    for (int i = 0; i < streams.length; i++) {
      assertEquals(Moe.MOE_OK(), Moe.moe_stream_create(devices[i / 2], 1, out));
      streams[i] = out.get(ValueLayout.JAVA_LONG, 0);
    }
    int[] seen = new int[Moe.MOE_INTERNAL() + 1];
    for (int i = 0; i < 1000; i++) {
      long stream = random.nextInt(4) == 0 ? number() : streams[random.nextInt(3)];
      long other = random.nextInt(4) == 0 ? number() : streams[random.nextInt(3)];
      seen[Moe.moe_stream_wait(stream, other, number())]++;
      seen[Moe.moe_stream_mark(stream, pointer(out))]++;
    }
    assertEquals(
        2000,
        seen[Moe.MOE_OK()] + seen[Moe.MOE_INVALID_ARGUMENT()] + seen[Moe.MOE_INVALID_HANDLE()]);
    assertTrue(seen[Moe.MOE_OK()] > 500 && seen[Moe.MOE_INVALID_ARGUMENT()] > 100);
    for (long device : devices) {
      assertEquals(Moe.MOE_OK(), Moe.moe_device_close(device));
    }
  }

  /** The CPU has no driver stream. */
  @Test
  void noHandleGivesAStreamToOthers() {
    assertEquals(Moe.MOE_OK(), Moe.moe_device_open(names, 0, out));
    long device = out.get(ValueLayout.JAVA_LONG, 0);
    assertEquals(Moe.MOE_OK(), Moe.moe_stream_create(device, 1, out));
    long stream = out.get(ValueLayout.JAVA_LONG, 0);
    int[] seen = new int[Moe.MOE_INTERNAL() + 1];
    for (int i = 0; i < 1000; i++) {
      seen[Moe.moe_stream_native(random.nextInt(4) == 0 ? number() : stream, pointer(out))]++;
    }
    assertEquals(
        1000,
        seen[Moe.MOE_INVALID_ARGUMENT()]
            + seen[Moe.MOE_INVALID_HANDLE()]
            + seen[Moe.MOE_UNSUPPORTED()]);
    assertTrue(
        seen[Moe.MOE_UNSUPPORTED()] > 100,
        () -> "only " + seen[Moe.MOE_UNSUPPORTED()] + " were whole");
    assertEquals(Moe.MOE_OK(), Moe.moe_device_close(device));
  }

  /** The CPU refuses all compiled kernels. */
  @Test
  void everyCompiledKernelIsRefused() {
    assertEquals(Moe.MOE_OK(), Moe.moe_device_open(names, 0, out));
    long device = out.get(ValueLayout.JAVA_LONG, 0);
    List<MemorySegment> whole =
        List.of(
            KernelDescription.gate(
                    8, 2, GateSettings.Score.SIGMOID, GateSettings.QueueOrder.CHOICE_MAJOR, true)
                .write(arena),
            KernelDescription.expert(
                    64, Activation.SILU, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT32)
                .write(arena),
            KernelDescription.customActivation().write(arena));
    MemorySegment kernel = moe_runtime_kernel.allocate(arena);
    int[] seen = new int[Moe.MOE_INTERNAL() + 1];
    for (int i = 0; i < 10_000; i++) {
      kernel.copyFrom(whole.get(random.nextInt(whole.size())));
      for (long at = 4; at < kernel.byteSize(); at += 4) {
        if (random.nextInt(16) == 0) {
          kernel.set(
              ValueLayout.JAVA_INT_UNALIGNED,
              at,
              random.nextBoolean() ? random.nextInt() : random.nextInt(9));
        }
      }
      moe_runtime_kernel.struct_size(
          kernel, random.nextInt(8) == 0 ? random.nextInt() : (int) kernel.byteSize());
      seen[
          Moe.moe_runtime_kernel_install(
              random.nextInt(8) == 0 ? random.nextLong() : device,
              random.nextInt(8) == 0 ? MemorySegment.NULL : kernel,
              random.nextInt(8) == 0 ? MemorySegment.NULL : struct,
              random.nextInt(-1, 9))]++;
    }
    int refused =
        seen[Moe.MOE_INVALID_ARGUMENT()]
            + seen[Moe.MOE_INVALID_HANDLE()]
            + seen[Moe.MOE_UNSUPPORTED()];
    assertEquals(10_000, refused);
    assertTrue(
        seen[Moe.MOE_UNSUPPORTED()] > 100,
        () -> "only " + seen[Moe.MOE_UNSUPPORTED()] + " were whole");
    assertEquals(Moe.MOE_OK(), Moe.moe_device_close(device));
  }

  private void call(int function) {
    switch (function) {
      case 0 -> {
        if (result(
            function,
            "moe_device_open",
            Moe.moe_device_open(name(), random.nextInt(-1, 2), pointer(out)))) {
          remember(devices, Moe::moe_device_close);
        }
      }
      case 1 -> {
        // Closing is rare, so that most devices live through many calls.
        long device = random.nextInt(4) == 0 ? handle(devices) : number();
        result(function, "moe_device_close", Moe.moe_device_close(device));
      }
      case 2 ->
          result(
              function,
              "moe_device_describe",
              Moe.moe_device_describe(handle(devices), struct((int) moe_device_info.sizeof())));
      case 3 -> {
        int threads = random.nextBoolean() ? random.nextInt(4) : (int) number();
        int status = Moe.moe_stream_create(handle(devices), threads, pointer(out));
        if (result(function, "moe_stream_create", status)) {
          remember(streams, Moe::moe_stream_destroy);
        }
      }
      case 4 -> result(function, "moe_stream_destroy", Moe.moe_stream_destroy(handle(streams)));
      case 5 -> {
        long bytes = random.nextBoolean() ? random.nextInt(5000) : number();
        if (result(
            function,
            "moe_memory_allocate",
            Moe.moe_memory_allocate(handle(devices), bytes, pointer(out)))) {
          memories.addFirst(out.get(Moe.C_POINTER, 0));
        }
      }
      case 6 -> {
        MemorySegment memory =
            memories.isEmpty() || random.nextInt(4) == 0
                ? MemorySegment.ofAddress(number())
                : memories.get(random.nextInt(Math.min(4, memories.size())));
        result(function, "moe_memory_free", Moe.moe_memory_free(handle(devices), memory));
      }
      case 7 -> result(function, "moe_memory_trim", Moe.moe_memory_trim(handle(devices)));
      case 8 ->
          result(
              function,
              "moe_memory_usage_get",
              Moe.moe_memory_usage_get(handle(devices), struct(32)));
      case 9 -> {
        for (int i = 0; i < 3; i++) {
          shape.setAtIndex(
              ValueLayout.JAVA_LONG, i, random.nextBoolean() ? random.nextInt(100) : number());
        }
        int rank = random.nextInt(2, 4) + (random.nextInt(4) == 0 ? (int) number() : 0);
        result(
            function,
            "moe_gemm_packed_bytes",
            Moe.moe_gemm_packed_bytes(
                handle(devices), random.nextInt(3), rank, pointer(shape), pointer(out)));
      }
      case 10 ->
          result(function, "moe_stream_query", Moe.moe_stream_query(handle(streams), pointer(out)));
      case 11 ->
          result(
              function,
              "moe_activation_config_default",
              Moe.moe_activation_config_default(struct((int) moe_activation_config.sizeof())));
      case 12 ->
          result(
              function,
              "moe_memory_write",
              Moe.moe_memory_write(handle(streams), half(), bytes(), half()));
      case 13 ->
          result(
              function,
              "moe_memory_read",
              Moe.moe_memory_read(handle(streams), half(), bytes(), half()));
      case 14 ->
          result(
              function, "moe_memory_zero", Moe.moe_memory_zero(handle(streams), half(), bytes()));
      default ->
          result(function, "moe_gate_config_default", Moe.moe_gate_config_default(struct(64)));
    }
  }

  private boolean result(int function, String name, int status) {
    if (status == Moe.MOE_OK()) {
      served[function]++;
      return true;
    }
    if (status == Moe.MOE_UNSUPPORTED()) {
      assertEquals("moe_device_open", name, "only a backend can be missing");
    } else {
      assertRefusal(name, name, status);
    }
    return false;
  }

  /**
   * Keeps the handle in {@link #out}; closed ones are kept for later calls, until the oldest are
   * dropped.
   */
  private void remember(List<Long> handles, LongUnaryOperator close) {
    handles.addFirst(out.get(ValueLayout.JAVA_LONG, 0));
    if (handles.size() > 16) {
      close.applyAsLong(handles.removeLast());
    }
  }

  private long handle(List<Long> handles) {
    List<Long> others = random.nextInt(8) == 0 ? (handles == devices ? streams : devices) : handles;
    return others.isEmpty() || random.nextInt(8) == 0
        ? number()
        : others.get(random.nextInt(others.size()));
  }

  private long number() {
    return random.nextInt(4) == 0 ? random.nextLong() : NUMBERS[random.nextInt(NUMBERS.length)];
  }

  private MemorySegment pointer(MemorySegment segment) {
    return random.nextInt(8) == 0 ? MemorySegment.NULL : segment;
  }

  private MemorySegment half() {
    return pointer(moved.asSlice(random.nextInt(8) == 0 ? 20 : random.nextInt(2) * 32L));
  }

  /** As many as a half has, or fewer than there can be. */
  private long bytes() {
    return random.nextInt(8) == 0 ? -1 - (random.nextLong() >>> 1) : random.nextInt(33);
  }

  private MemorySegment name() {
    return switch (random.nextInt(4)) {
      case 0 -> MemorySegment.NULL;
      case 1 -> names.asSlice(1); // "pu"
      default -> names;
    };
  }

  private MemorySegment struct(int size) {
    struct.set(ValueLayout.JAVA_INT, 0, random.nextInt(4) == 0 ? (int) number() : size);
    return pointer(struct);
  }
}
