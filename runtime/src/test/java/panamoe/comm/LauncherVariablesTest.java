package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class LauncherVariablesTest {
  @Test
  void theFirstVariableThatHoldsANumberCounts() {
    Map<String, String> environment = Map.of("B", "3", "C", "4", "A", "many");
    assertEquals(OptionalInt.of(3), LauncherVariables.number(environment, "A", "B", "C"));
    assertEquals(OptionalInt.empty(), LauncherVariables.number(environment, "A", "D"));
  }
}
