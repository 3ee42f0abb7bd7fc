package panamoe.backend.abi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.KernelGraph;
import panamoe.backend.Routes;
import panamoe.bindings.NativeException;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class NativeBackendTest {
  private final NativeBackend backend = NativeBackend.open("cpu", 1);

  @AfterEach
  void close() {
    backend.close();
  }

  @Test
  void anUnknownBackendAndABadThreadCountAreRefused() {
    NativeException unknown =
        assertThrows(NativeException.class, () -> NativeBackend.open("abacus", 1));
    assertTrue(
        unknown.getMessage().startsWith("moe_device_open: no backend is called 'abacus'"),
        unknown.getMessage());
    String threads = refusal(() -> NativeBackend.open("cpu", -1));
    assertEquals("moe_stream_create: threads is -1, expected 0 to 1024", threads);
  }

  @Test
  void aRefusedArgumentCarriesTheSentenceOfTheLibrary() {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = scope.zeros(DType.FLOAT32, 2, 3);
      assertEquals("moe_cast: y is null", refusal(() -> backend.cast(x, null)));
      assertEquals(
          "moe_cast: y of shape [5] has 5 elements, expected 6",
          refusal(() -> backend.cast(x, scope.zeros(DType.FLOAT32, 5))));
    }
  }

  @Test
  void memoryIsAlignedCountedAndRefusedWhenThereIsNone() {
    long before = backend.memoryUsage().inUse();
    MemorySegment memory = backend.allocate(1000);
    assertEquals(1000, memory.byteSize());
    assertEquals(0, memory.address() % 64);
    assertTrue(backend.memoryUsage().inUse() >= before + 1000);
    backend.free(memory);
    assertEquals(before, backend.memoryUsage().inUse());
    assertTrue(backend.memoryUsage().cached() >= 1000);
    backend.trim();
    assertEquals(0, backend.memoryUsage().cached());
    assertTrue(refusal(() -> backend.free(memory)).startsWith("moe_memory_free: "));
    OutOfMemoryError none = assertThrows(OutOfMemoryError.class, () -> backend.allocate(1L << 60));
    assertTrue(none.getMessage().contains(Long.toString(1L << 60)), none.getMessage());
  }

  @Test
  void theDeviceIsDescribed() {
    DeviceInfo info = backend.deviceInfo();
    assertTrue(info.processors() >= 1, info.toString());
    assertTrue(
        info.vectorBytes() >= 16 && info.memoryTotal() >= info.memoryAvailable(), info.toString());
    assertTrue(!info.name().isBlank() && !info.target().isBlank(), info.toString());
  }

  @Test
  void aReplayMakesTheSameCallsOnTheSameTensors() {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = scope.zeros(DType.FLOAT32, 2);
      Tensor y = scope.zeros(DType.FLOAT32, 2);
      KernelGraph graph =
          backend.capture(
              () -> {
                backend.add(1, x, 1, x, y);
                backend.add(1, y, 1, y, y);
              });
      assertEquals(2, graph.size());
      x.set(3f, -5f);
      graph.replay();
      assertArrayEquals(new float[] {12, -20}, y.toFloats());
    }
  }

  @Test
  void aReplayMakesNoGarbage() {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor y = scope.zeros(DType.FLOAT32, 16);
      KernelGraph graph = backend.capture(() -> backend.fill(1, y));
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      replay(graph, 20_000); // until it is compiled
      long before = threads.getCurrentThreadAllocatedBytes();
      replay(graph, 20_000);
      long perReplay = (threads.getCurrentThreadAllocatedBytes() - before) / 20_000;
      assertTrue(perReplay < 8, perReplay + " bytes of garbage a replay");
    }
  }

  @Test
  void aReplayAfterTheTensorsOrTheBackendAreClosedIsRefused() {
    KernelGraph graph;
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor y = scope.zeros(DType.FLOAT32, 16);
      graph = backend.capture(() -> backend.fill(1, y));
    }
    assertThrows(IllegalStateException.class, graph::replay);

    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor y = scope.zeros(DType.FLOAT32, 16);
      KernelGraph ofClosedBackend = backend.capture(() -> backend.fill(1, y));
      backend.close();
      assertThrows(NativeException.class, ofClosedBackend::replay);
    }
  }

  @Test
  void aTensorOfAClosedScopeIsRefusedWhenTheCallIsMade() {
    TensorScope scope = TensorScope.confined(backend);
    Tensor y = scope.zeros(DType.FLOAT32, 16);
    scope.close();
    assertThrows(IllegalStateException.class, () -> backend.fill(1, y));
  }

  @Test
  void aClosedBackendAndItsMemoryAreRefused() {
    TensorScope scope = TensorScope.confined(backend);
    Tensor y = scope.zeros(DType.FLOAT32, 16);
    MemorySegment memory = backend.allocate(64);
    backend.close();
    assertDoesNotThrow(backend::close);
    assertThrows(IllegalStateException.class, () -> backend.fill(1, y));
    assertThrows(IllegalStateException.class, () -> backend.allocate(64));
    assertThrows(IllegalStateException.class, () -> backend.packedBytes(DType.FLOAT32, 2, 2));
    assertThrows(IllegalStateException.class, backend::deviceInfo);
    assertThrows(IllegalStateException.class, backend::memoryUsage);
    assertThrows(IllegalStateException.class, backend::synchronize);
    assertThrows(IllegalStateException.class, () -> memory.get(ValueLayout.JAVA_BYTE, 0));
    assertThrows(IllegalStateException.class, () -> y.getFloat(0));
    assertDoesNotThrow(scope::close);
  }

  @Test
  void theGateSettingsReachTheLibrary() {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor logits = scope.zeros(DType.FLOAT32, 3, 4);
      Routes routes = Routes.allocate(scope, 3, 4, 2);
      backend.gateForward(GateSettings.dropless(2), GateKernels.Inputs.of(logits), routes);
      assertArrayEquals(new int[] {0, 1, 0, 1, 0, 1}, routes.expert().toInts());
      String tooMany =
          refusal(
              () ->
                  backend.gateForward(
                      GateSettings.dropless(5), GateKernels.Inputs.of(logits), routes));
      assertEquals("moe_gate_forward: config.top_k is 5, expected 1 to 4", tooMany);
    }
  }

  private static void replay(KernelGraph graph, int times) {
    for (int i = 0; i < times; i++) {
      graph.replay();
    }
  }

  private static String refusal(Runnable call) {
    return assertThrows(IllegalArgumentException.class, call::run).getMessage();
  }
}
