package panamoe.jmh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Each benchmark runs for a moment, so that none breaks unseen; the times mean nothing. */
class EveryBenchmarkTest {
  @Test
  void runs() throws RunnerException, IOException {
    System.setProperty("jmh.ignoreLock", "true"); // nothing is measured, so others may run
    Options moment =
        new OptionsBuilder()
            .forks(0)
            .warmupIterations(0)
            .measurementIterations(1)
            .measurementTime(TimeValue.milliseconds(1))
            .param("shape", "16x16x4x1")
            .param("tokens", "256") // a sequence of the model that is trained
            .param("dtype", "FLOAT32")
            .shouldFailOnError(true)
            .verbosity(VerboseMode.SILENT)
            .build();
    Collection<RunResult> results = new Runner(moment).run();
    assertTrue(results.stream().allMatch(each -> each.getPrimaryResult().getScore() > 0));
    assertEquals(
        classes(),
        results.stream()
            .map(each -> each.getParams().getBenchmark().replaceAll(".*\\.(\\w+)\\.\\w+", "$1"))
            .collect(Collectors.toSet()));
  }

  private static Set<String> classes() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/main/java/panamoe/jmh"))) {
      return files
          .map(file -> file.getFileName().toString().replace(".java", ""))
          .filter(name -> name.endsWith("Benchmark"))
          .collect(Collectors.toSet());
    }
  }
}
