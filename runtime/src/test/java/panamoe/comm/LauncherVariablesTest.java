package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

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

  @Test
  void sizeHereIsMpirunsOrTheLengthOfSrunsList() {
    assertEquals(OptionalInt.empty(), LauncherVariables.sizeHere(Map.of()));
    assertEquals(OptionalInt.of(1), LauncherVariables.sizeHere(Map.of("SLURM_GTIDS", "2")));
    assertEquals(OptionalInt.of(3), LauncherVariables.sizeHere(Map.of("SLURM_GTIDS", "4,5,6")));
    // mpirun in a batch script starts its own processes by srun.
    Map<String, String> both = Map.of("SLURM_GTIDS", "0", "OMPI_COMM_WORLD_LOCAL_SIZE", "4");
    assertEquals(OptionalInt.of(4), LauncherVariables.sizeHere(both));
  }

  @Test
  void warnsOnlyWhoAsksForEncryption() {
    assertEquals(
        "PANAMOE_ENCRYPT is 1, but NCCL sends tensors without encryption: use a private network, or --comm tcp",
        LauncherVariables.clearTensors(Map.of("PANAMOE_ENCRYPT", "1"), "NCCL"));
    assertNull(LauncherVariables.clearTensors(Map.of("PANAMOE_ENCRYPT", "0"), "NCCL"));
    assertNull(LauncherVariables.clearTensors(Map.of(), "MPI"));
  }
}
