package panamoe.harness.probe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import panamoe.nn.Cost;
import panamoe.tensor.DType;

class CeilingsTest {
  @Test
  void theyGiveTheLargerOfBothTimes() {
    Ceilings ceilings = new Ceilings(100, 200, 800.0, 50, 2, null);
    assertEquals(0.02, ceilings.rooflineSeconds(reading(2e9, 1e8), DType.FLOAT32), 1e-12);
    assertEquals(0.01, ceilings.rooflineSeconds(reading(2e9, 1e8), DType.BFLOAT16), 1e-12);
    assertEquals(0.01, ceilings.rooflineSeconds(reading(8e9, 1e8), DType.INT8), 1e-12);
    assertEquals(0.04, ceilings.rooflineSeconds(reading(2e9, 2e9), DType.FLOAT32), 1e-12);
  }

  @Test
  void workThatWritesIsHeldAgainstACopy() {
    Ceilings ceilings = new Ceilings(100, 200, 800.0, 50, 2, 40.0);
    assertEquals(0.05, ceilings.rooflineSeconds(new Cost(0, 1e9, 1e9, 0, 0), DType.FLOAT32), 1e-12);
    assertEquals(0.04, ceilings.rooflineSeconds(reading(0, 2e9), DType.FLOAT32), 1e-12);
  }

  private static Cost reading(double flops, double bytes) {
    return new Cost(flops, bytes, 0, 0, 0);
  }
}
