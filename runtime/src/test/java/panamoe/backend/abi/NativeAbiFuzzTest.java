package panamoe.backend.abi;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeLibrary;

/**
 * Random calls of the C ABI on the CPU, two in three of them corrupted: the library returns MOE_OK
 * or a sentence, never writes outside the given memory, and writes nothing when it refuses (CUDA,
 * which reports a bad value late, promises that for shapes and settings only). A crash of the
 * library is a crash of this JVM, and so of the build.
 *
 * <p>{@code -Dpanamoe.fuzz.calls} and {@code -Dpanamoe.fuzz.seed} run more, or others.
 */
class NativeAbiFuzzTest {
  private static final int CALLS = Integer.getInteger("panamoe.fuzz.calls", 100_000);
  private static final long SEED = Long.getLong("panamoe.fuzz.seed", 20220114);
  private static final int SENTENCE_BYTES = 1024;

  private static long device;
  private static long[] streams;
  private static long closedStream;

  /** How often a function succeeded, and how often it refused. */
  private static final class Tally {
    int served;
    int refused;
  }

  @BeforeAll
  static void open() {
    NativeLibrary.ensureAvailable();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle = arena.allocate(ValueLayout.JAVA_LONG);
      assertEquals(Moe.MOE_OK(), Moe.moe_device_open(arena.allocateFrom("cpu"), 0, handle));
      device = handle.get(ValueLayout.JAVA_LONG, 0);
      streams = new long[3];
      for (int i = 0; i < streams.length; i++) {
        assertEquals(Moe.MOE_OK(), Moe.moe_stream_create(device, i + 1, handle));
        streams[i] = handle.get(ValueLayout.JAVA_LONG, 0);
      }
      assertEquals(Moe.MOE_OK(), Moe.moe_stream_create(device, 1, handle));
      closedStream = handle.get(ValueLayout.JAVA_LONG, 0);
      assertEquals(Moe.MOE_OK(), Moe.moe_stream_destroy(closedStream));
    }
  }

  @AfterAll
  static void close() {
    assertEquals(Moe.MOE_OK(), Moe.moe_device_close(device));
  }

  @Test
  void everyKernelServesOrRefuses() throws Throwable {
    Map<String, Tally> tallies = new HashMap<>();
    for (int i = 0; i < CALLS; i++) {
      AbiSignature signature = AbiSignature.ALL.get(i % AbiSignature.ALL.size());
      call(signature, SEED + i, tallies.computeIfAbsent(signature.function(), _ -> new Tally()));
    }
    int leastOfEach = CALLS / AbiSignature.ALL.size() / 10;
    assertAll(
        tallies.entrySet().stream()
            .map(
                entry ->
                    () -> {
                      Tally tally = entry.getValue();
                      assertTrue(
                          tally.served > leastOfEach && tally.refused > leastOfEach,
                          "%s served %d calls and refused %d, expected more than %d each"
                              .formatted(entry.getKey(), tally.served, tally.refused, leastOfEach));
                    }));
  }

  /** A function that is added to the ABI must be added here. */
  @Test
  void everyFunctionIsCalled() {
    Set<String> functions =
        Arrays.stream(Moe.class.getMethods())
            .map(Method::getName)
            .filter(name -> name.endsWith("$handle"))
            .map(name -> name.substring(0, name.length() - "$handle".length()))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> called =
        AbiSignature.ALL.stream()
            .map(AbiSignature::function)
            .collect(Collectors.toCollection(TreeSet::new));
    called.addAll(NativeHandleFuzzTest.FUNCTIONS);
    called.addAll(NativeGraphFuzzTest.FUNCTIONS);
    assertEquals(functions, called);
  }

  private static void call(AbiSignature signature, long seed, Tally tally) throws Throwable {
    RandomGenerator random = new SplittableRandom(seed);
    try (GuardedMemory memory = new GuardedMemory()) {
      long stream = streams[random.nextInt(50) == 0 ? random.nextInt(streams.length) : 0];
      List<AbiArgument> arguments = AbiArguments.random(signature, random, memory, device, stream);
      AbiCorruption corruption = new AbiCorruption(random, 0, device, closedStream);
      for (int spoilt = random.nextInt(3); spoilt > 0; spoilt--) {
        corruption.spoil(arguments);
      }
      Object[] passed = arguments.stream().map(AbiArgument::passed).toArray();
      memory.snapshot();
      int status =
          (int)
              handle(signature.function()).invokeWithArguments(withHeld(passed, signature, random));
      String where = signature.function() + " of seed " + seed;
      assertTrue(memory.guardsIntact(), () -> where + " wrote outside its memory");
      if (status == Moe.MOE_OK()) {
        tally.served++;
      } else {
        tally.refused++;
        assertRefusal(where, signature.function(), status);
        assertTrue(memory.unchanged(), () -> where + " wrote though it refused: " + lastError());
      }
    }
  }

  /** A held address may have any value: C ignores it. */
  private static Object[] withHeld(
      Object[] arguments, AbiSignature signature, RandomGenerator random) {
    if (signature.parameters().size() == 1) { // moe_stream_synchronize
      return arguments;
    }
    Object[] all = Arrays.copyOf(arguments, arguments.length + 4);
    Arrays.setAll(
        all, i -> i < arguments.length ? arguments[i] : MemorySegment.ofAddress(random.nextLong()));
    return all;
  }

  static void assertRefusal(String where, String function, int status) {
    assertTrue(
        status == Moe.MOE_INVALID_ARGUMENT()
            || status == Moe.MOE_INVALID_HANDLE()
            || status == Moe.MOE_OUT_OF_MEMORY(),
        () -> where + " gave status " + status + ": " + lastError());
    assertTrue(
        lastError().matches("(?s)" + function + ": .+"),
        () -> where + " refused with '" + lastError() + "'");
  }

  private static final Map<String, MethodHandle> HANDLES = new HashMap<>();

  private static MethodHandle handle(String function) {
    return HANDLES.computeIfAbsent(
        function,
        name -> {
          try {
            return (MethodHandle) Moe.class.getMethod(name + "$handle").invoke(null);
          } catch (ReflectiveOperationException e) {
            throw new AssertionError("the bindings have no " + name, e);
          }
        });
  }

  private static String lastError() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sentence = arena.allocate(SENTENCE_BYTES);
      Moe.moe_last_error(sentence, SENTENCE_BYTES);
      return sentence.getString(0);
    }
  }
}
