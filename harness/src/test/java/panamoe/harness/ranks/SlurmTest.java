package panamoe.harness.ranks;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.open.ModelFolder;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Ranks under a real Slurm on two simulated nodes. Needs root, Slurm and a built checkout: {@code
 * ci/slow slurm} runs it.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class SlurmTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
  private static final String PANAMOE = ROOT.resolve("panamoe").toString();

  @TempDir private Path folder;
  private Path said;

  /** What a script said, and its status. */
  private record Outcome(int status, String text) {}

  @BeforeEach
  void writeText() throws IOException {
    assumeTrue(Boolean.getBoolean("panamoe.test.slurm"), "panamoe.test.slurm is not set");
    said = folder.resolve("said.txt");
    Files.writeString(
        folder.resolve("text.txt"),
        "the committee thanks its members for this report.\n".repeat(900));
  }

  /** Runs a command in the test's folder, by {@code ci/cluster/run} on two nodes. */
  private Outcome onNodes(String... command) throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(List.of(ROOT.resolve("ci/cluster/run").toString()));
    all.addAll(List.of(command));
    Process process =
        new ProcessBuilder(all)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    try {
      return new Outcome(process.waitFor(), Files.readString(said));
    } finally {
      process.destroy(); // with SIGTERM it takes its nodes down
    }
  }

  /** Runs a script of bash on the first of two nodes with Slurm. */
  private Outcome onSlurm(String script) throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("script.sh"), "set -eu\n" + script);
    return onNodes("--slurm", "timeout", "300", "bash", file.toString());
  }

  /** The batch script of the page, for a model of seconds. */
  private static String batchScript() throws IOException {
    String script =
        Files.readAllLines(ROOT.resolve("docs/parallelism.md")).stream()
            .dropWhile(line -> !line.equals("    #!/bin/bash"))
            .takeWhile(line -> line.startsWith("    "))
            .map(line -> line.substring(4) + "\n")
            .collect(joining());
    String tiny =
        script.replace("--preset small", "--preset tiny --steps 100").replace("./panamoe", PANAMOE);
    assertNotEquals(script, tiny);
    return tiny;
  }

  private void trainByMpirun(String run, String steps) throws IOException, InterruptedException {
    List<String> train = new ArrayList<>(List.of("--ranks", "1", PANAMOE, "train"));
    train.addAll(List.of("--comm", "mpi", "--text", "text.txt", "--preset", "tiny"));
    train.addAll(List.of("--steps", steps, "--out", run));
    Outcome trained = onNodes(train.toArray(String[]::new));
    assertEquals(0, trained.status(), trained.text());
  }

  @Test
  void aBatchJobGoesOnAfterItsTimeLimitWithTheBitsOfMpirun() throws Exception {
    Files.writeString(folder.resolve("job.sh"), batchScript());
    Outcome job =
        onSlurm(
            """
            sbatch --output=job.out --ntasks-per-node=1 --cpus-per-task=1 job.sh
            until [[ -s moe/metrics.jsonl ]]; do sleep 0.02; done
            scancel --batch --signal=TERM 1   # as Slurm does before the time limit
            state() {
              scontrol show job 1 | grep -o 'JobState=[A-Z]*'
            }
            until [[ $(state) == *PENDING ]]; do sleep 0.1; done
            # A node refuses a start in the seconds after it was told of the first one's end.
            until [[ $(sinfo --noheader --states=idle --format=%D) == 2 ]]; do sleep 0.1; done
            sleep 5
            scontrol update JobId=1 StartTime=now   # Slurm would wait two minutes
            while [[ $(state) =~ PENDING|CONFIGURING|RUNNING|COMPLETING ]]; do sleep 0.1; done
            [[ $(state) == *COMPLETED ]]
            """);
    String out = Files.readString(folder.resolve("job.out"));
    assertEquals(0, job.status(), () -> job.text() + out);
    assertTrue(out.contains("which is saved; train --resume goes on from there"), out);
    assertTrue(out.contains("going on after step"), out);
    trainByMpirun("mpirun", "100");
    assertEquals(sha256("mpirun"), sha256("moe"));
  }

  private String sha256(String run) throws IOException {
    return ModelFolder.open(folder.resolve(run)).checkpoint().sha256();
  }

  @Test
  void ranksOnTwoNodesServeTheTextOfOneAndDrain() throws Exception {
    trainByMpirun("moe", "20");
    Outcome served =
        onSlurm(
            """
            ask() {
              curl --silent --fail localhost:$1/v1/completions -d '{"prompt": "the", "max_tokens": 90,
                "ignore_eos": true, "temperature": 1, "seed": 5}'
            }
            serve() {
              "${@:2}" --port $1 &
              until curl --silent --fail localhost:$1/health; do kill -0 $!; sleep 0.1; done
            }
            serve 8001 PANAMOE serve moe
            ask 8001 >alone.json
            kill -TERM $!
            wait $!
            serve 8002 srun --mpi=pmix --nodes=2 PANAMOE serve moe --comm mpi
            ranks=$!
            ask 8002 >two.json
            ask 8002 >drained.json & asking=$!
            until curl --silent localhost:8002/metrics | grep -q 'requests_running.* 1'; do sleep 0.01; done
            scancel --signal=TERM 1
            wait $asking
            wait $ranks
            """
                .replace("PANAMOE", PANAMOE));
    assertEquals(0, served.status(), served.text());
    assertTrue(served.text().contains("stopping: 1 request left"), served.text());
    String alone = text("alone.json");
    assertFalse(alone.isEmpty());
    assertEquals(alone, text("two.json"));
    assertEquals(alone, text("drained.json"));
  }

  private String text(String file) throws IOException {
    JsonNode answer = JSON.readTree(folder.resolve(file).toFile());
    return answer.at("/choices/0/text").asString();
  }
}
