package panamoe.runtimekernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;

/** The image for each device, and the message without an image. */
class ReadyKernelsTest {
  private static final RuntimeKernel GATE = gate(8);

  @TempDir private Path folder;

  private static RuntimeKernel gate(int experts) {
    return new RuntimeKernel.Gate(experts, 2, Score.SOFTMAX, QueueOrder.TOKEN_MAJOR, true);
  }

  @Test
  void aDeviceGetsTheImageOfItsTargetOrOfAnEarlierOneOfItsMajorNumber() throws IOException {
    ReadyKernels ready = new ReadyKernels(folder.resolve("kernels"));
    ready.keep(GATE, "sm_80", new byte[] {80});
    ready.keep(GATE, "sm_86", new byte[] {86});
    ready.keep(GATE, "sm_100", new byte[] {100});
    assertArrayEquals(new byte[] {80}, ready.of(GATE, "sm_80"));
    assertArrayEquals(new byte[] {86}, ready.of(GATE, "sm_89"));
    assertArrayEquals(new byte[] {100}, ready.of(GATE, "sm_103"));
    assertRefused(ready, GATE, "sm_90");
    assertRefused(ready, gate(16), "sm_80");
  }

  private void assertRefused(ReadyKernels ready, RuntimeKernel kernel, String target) {
    String message =
        assertThrows(UnsatisfiedLinkError.class, () -> ready.of(kernel, target)).getMessage();
    assertTrue(message.contains("has no image of gate.cu for " + target), message);
    assertTrue(message.startsWith(folder.toString()), message);
    assertEquals(1, message.lines().count());
  }
}
