package panamoe.harness.serve.replay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.engine.Generation;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.harness.CommandRun;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.harness.train.RankProcesses;
import panamoe.io.ConfigJson;
import tools.jackson.databind.node.JsonNodeFactory;

/** replay in processes of a real mpirun. */
@Tag("slow")
@Timeout(300)
class ProcessReplayTest {
  @TempDir private Path folder;

  /** A completion of 5 tokens whose file has none. */
  private String logged(String run, ComputeType dtype) throws IOException {
    LoggedCompletion text =
        new LoggedCompletion(
            dtype.toString(),
            0,
            1,
            new LoggedCompletion.Origin(
                "writer",
                run,
                dtype,
                null,
                null,
                KeyValueType.DTYPE,
                null,
                null,
                "cpu",
                "fp_0",
                null),
            new int[] {'T'},
            SamplingConfig.GREEDY,
            new StopConfig(5, 0, List.of(), Set.of(), true, false),
            Routing.USUAL,
            JsonNodeFactory.instance.objectNode(),
            new LoggedCompletion.Answer(new int[0], new String[0], Generation.End.LENGTH, null));
    return Files.writeString(folder.resolve(text.fileName()), ConfigJson.text(text)).toString();
  }

  /** Processes start MPI once, however many models they load. */
  @Test
  void textsOfSeveralModels() throws Exception {
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "The committee thanks the members for the vote.\n".repeat(400));
    String run = folder.resolve("writer").toString();
    CommandRun trained =
        CommandRun.of(
            "train", "--preset", "tiny", "--steps", "2", "--text", text.toString(), "--out", run);
    assertEquals(0, trained.exitCode(), trained.err());
    String[] files = {logged(run, ComputeType.F32), logged(run, ComputeType.BF16)};
    try (RankProcesses ranks = new RankProcesses(folder, "replay", files[0], files[1])) {
      ranks.start(2, RankProcesses.ALIKE, "--comm", "mpi", "--ep", "2");
      assertEquals(1, ranks.await().status(), ranks::said);
      for (String file : files) {
        assertTrue(ranks.said().contains(file + ": there were 0 tokens and are 5"), ranks::said);
      }
    }
  }
}
