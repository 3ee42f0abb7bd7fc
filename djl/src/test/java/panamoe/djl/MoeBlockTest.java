package panamoe.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.SequentialBlock;
import ai.djl.training.ParameterStore;
import ai.djl.translate.NoopTranslator;
import ai.djl.util.passthrough.PassthroughNDManager;
import java.io.DataOutputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.Execution;
import panamoe.api.LayerSettings;
import panamoe.api.MoeLayer;

/** A layer in a network of DJL's PyTorch engine. */
class MoeBlockTest {
  private static final int HIDDEN = 8;
  private static final LayerSettings SETTINGS = LayerSettings.of(HIDDEN, 16, 4, 2);

  private static Device device;
  private static MoeLayer layer;
  private NDManager manager;

  @BeforeAll
  static void open() {
    device = Device.open("cpu", 2);
    layer = MoeLayer.create(device, SETTINGS, 3);
  }

  @AfterAll
  static void close() {
    device.close();
  }

  @BeforeEach
  void begin() {
    manager = NDManager.newBaseManager("PyTorch");
  }

  @AfterEach
  void end() {
    manager.close();
  }

  private NDArray tokens(long... shape) {
    return manager.randomNormal(0, 1, new Shape(shape), DataType.FLOAT32);
  }

  private static float[] forward(NDArray x) {
    NDList output = new MoeBlock(layer).forward(new ParameterStore(), new NDList(x), false);
    assertEquals(x.getShape(), output.singletonOrThrow().getShape());
    return output.singletonOrThrow().toFloatArray();
  }

  private static float[] expected(float[] x) {
    return expected(layer, x);
  }

  private static float[] expected(MoeLayer layer, float[] x) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, x.length);
      layer.forward(arena.allocateFrom(ValueLayout.JAVA_FLOAT, x), y, x.length / layer.hidden());
      return y.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Test
  void theExampleRuns() throws Exception {
    assertEquals(160, MoeBlockExample.run().length);
  }

  @Test
  void computesWhatTheLayerComputes() {
    for (NDArray x : List.of(tokens(5, HIDDEN), tokens(2, 3, HIDDEN), tokens(HIDDEN))) {
      assertArrayEquals(expected(x.toFloatArray()), forward(x), 0f);
    }
    assertEquals(0, forward(tokens(0, HIDDEN)).length);
  }

  @Test
  void readsAnArrayThatIsNotContiguousInItsOrder() {
    NDArray x = tokens(HIDDEN, 6).transpose();
    assertArrayEquals(expected(x.toFloatArray()), forward(x), 0f);
  }

  @Test
  void readsAnArraysOwnMemory() {
    NDArray x = tokens(3, HIDDEN);
    MemorySegment memory = ArrayMemory.of(x);
    assertEquals(memory.address(), ArrayMemory.of(x).address());
    memory.setAtIndex(ValueLayout.JAVA_FLOAT, HIDDEN, 42f);
    assertEquals(42f, x.getFloat(1, 0));
    x.muli(0);
    assertEquals(0f, memory.getAtIndex(ValueLayout.JAVA_FLOAT, HIDDEN));
  }

  /** Copies would take Java's direct memory. */
  @Test
  void copiesNothing() {
    NDArray x = tokens(1000, HIDDEN);
    forward(x);
    long before = directBytes();
    for (int i = 0; i < 20; i++) {
      new MoeBlock(layer).forward(new ParameterStore(), new NDList(x), false);
    }
    long after = directBytes();
    assertTrue(after <= before, after + " bytes, " + before + " before");
  }

  private static long directBytes() {
    return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
        .filter(pool -> pool.getName().equals("direct"))
        .mapToLong(BufferPoolMXBean::getMemoryUsed)
        .sum();
  }

  @Test
  void anEngineWithoutDirectMemoryGivesACopy() {
    float[] x = tokens(3, HIDDEN).toFloatArray();
    NDArray array = PassthroughNDManager.INSTANCE.create(FloatBuffer.wrap(x), new Shape(3, HIDDEN));
    assertFalse(array.toByteBuffer(true).isDirect());
    assertArrayEquals(expected(x), forward(array), 0f);
  }

  @Test
  void threadsWaitForEachOther() throws Exception {
    float[] x = tokens(50, HIDDEN).toFloatArray();
    float[] y = expected(x);
    MoeBlock saved = new MoeBlock(layer);
    saved.initialize(manager, DataType.FLOAT32, new Shape(50, HIDDEN));
    Callable<Void> often =
        () -> {
          try (NDManager own = NDManager.newBaseManager("PyTorch")) {
            for (int i = 0; i < 20; i++) {
              assertArrayEquals(y, forward(own.create(x, new Shape(50, HIDDEN))), 0f);
              saved.saveParameters(new DataOutputStream(OutputStream.nullOutputStream()));
            }
          }
          return null;
        };
    try (var threads = Executors.newFixedThreadPool(4)) {
      for (Future<Void> each :
          threads.invokeAll(IntStream.range(0, 4).mapToObj(_ -> often).toList())) {
        each.get();
      }
    }
  }

  @Test
  void isSavedAndLoadedWithItsNetwork(@TempDir Path folder) throws Exception {
    float[] x = tokens(4, HIDDEN).toFloatArray();
    try (Model model = network(layer)) {
      model.save(folder, "network");
    }
    try (MoeLayer other = MoeLayer.create(device, SETTINGS, 4);
        Model model = network(other)) {
      float[] before = expected(other, x);
      model.load(folder, "network");
      assertArrayEquals(expected(x), expected(other, x), 0f);
      assertFalse(Arrays.equals(before, expected(other, x)));
      try (Predictor<NDList, NDList> predictor = model.newPredictor(new NoopTranslator())) {
        NDList input = new NDList(manager.create(x, new Shape(4, HIDDEN)));
        assertArrayEquals(expected(x), predictor.predict(input).head().toFloatArray(), 0f);
      }
    }
    for (LayerSettings others :
        List.of(SETTINGS.withResidual(true), LayerSettings.of(HIDDEN, 16, 8, 2))) {
      try (MoeLayer other = MoeLayer.create(device, others, 4);
          Model model = network(other)) {
        String said =
            assertThrows(MalformedModelException.class, () -> model.load(folder, "network"))
                .getMessage();
        assertTrue(said.contains("in the file, but the layer's is"), said);
      }
    }
  }

  private static Model network(MoeLayer layer) {
    Model model = Model.newInstance("network", "PyTorch");
    SequentialBlock network = new SequentialBlock().add(new MoeBlock(layer));
    network.initialize(model.getNDManager(), DataType.FLOAT32, new Shape(1, HIDDEN));
    model.setBlock(network);
    model.setDataType(DataType.FLOAT32);
    return model;
  }

  @Test
  void refusesWhatItCannotCompute() {
    NDArray x = tokens(3, HIDDEN);
    MoeBlock block = new MoeBlock(layer);
    for (NDList wrong :
        List.of(
            new NDList(tokens(3, HIDDEN + 1)),
            new NDList(x, x),
            new NDList(),
            new NDList(manager.create(1f)),
            new NDList(x.toType(DataType.FLOAT64, true)))) {
      String said =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> block.forward(new ParameterStore(), wrong, false))
              .getMessage();
      assertTrue(said.contains("expected"), said);
    }
    Executable training =
        () -> block.forward(new ParameterStore(manager, false), new NDList(x), true);
    assertThrows(UnsupportedOperationException.class, training);
    try (MoeLayer other = MoeLayer.create(device, SETTINGS, Execution.BFLOAT16, 3)) {
      assertThrows(IllegalArgumentException.class, () -> new MoeBlock(other));
    }
    MoeLayer closed = MoeLayer.create(device, SETTINGS, 3);
    closed.close();
    assertThrows(
        IllegalStateException.class,
        () -> new MoeBlock(closed).forward(new ParameterStore(), new NDList(x), false));
  }
}
