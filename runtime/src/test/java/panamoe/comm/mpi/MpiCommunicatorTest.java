package panamoe.comm.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.testkit.Mpirun;

/** The communicators' contract, run by real processes under mpirun. */
@Tag("slow")
class MpiCommunicatorTest {
  /** Also with messages so short that blocks and sums are split. */
  @ParameterizedTest
  @CsvSource({"2, 1073741824", "4, 4999", "8, 1073741824"})
  void keepsTheContract(int ranks, long longestMessage) {
    Mpirun run = Mpirun.run(ranks, ContractOnRanks.class, String.valueOf(longestMessage));
    assertEquals(0, run.status(), run::text);
    for (int rank = 0; rank < ranks; rank++) {
      assertEquals(
          1, run.linesFrom("rank " + rank + " of " + ranks + " passed ").size(), run::text);
    }
  }
}
