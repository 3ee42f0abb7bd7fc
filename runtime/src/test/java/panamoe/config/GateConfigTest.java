package panamoe.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GateConfigTest {
  @Test
  void aGateThatDropsNothingHasNoCapacity() {
    GateConfig dropping = GateConfig.deepSpeed(2, 1.25, 4);
    assertEquals(63, dropping.capacity(100, 4, true));
    assertEquals(63, dropping.settings(100, 4, true).queues().capacity());
    for (GateConfig gate : new GateConfig[] {GateConfig.dropless(2), dropping.withoutDropping()}) {
      assertEquals(0, gate.capacity(100, 4, true));
      assertEquals(0, gate.settings(100, 4, false).queues().capacity());
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, Double.NaN, Double.POSITIVE_INFINITY})
  void aCapacityFactorIsANumberOtherThanZero(double factor) {
    assertThrows(IllegalArgumentException.class, () -> GateConfig.deepSpeed(1, factor, 4));
  }

  @Test
  void aNegativeFactorBoundsAsItsOpposite() {
    assertEquals(63, GateConfig.deepSpeed(2, -1.25, 4).capacity(100, 4, true));
  }
}
