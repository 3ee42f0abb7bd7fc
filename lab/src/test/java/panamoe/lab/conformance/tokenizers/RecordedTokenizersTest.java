package panamoe.lab.conformance.tokenizers;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;

/** Replays the recorded tokens in runtime's test resources. */
class RecordedTokenizersTest {
  private static final Path RECORDED =
      Path.of("..", "runtime", "src", "test", "resources", "golden", "tokenizers");

  @TempDir private Path folder;

  @Test
  void everyTextOfEveryVocabularyIsACase() {
    CommandRun run = run(RECORDED);
    assertEquals(0, run.exitCode(), run.out());
    List<String> lines = run.out().lines().toList();
    assertEquals("846 passed, 0 failed", lines.getLast());
    assertTrue(lines.stream().anyMatch(line -> line.startsWith("ok   llama2/prefix: ")));
    assertTrue(lines.stream().anyMatch(line -> line.startsWith("ok   gguf_vocab/spm/zalgo: ")));
  }

  @Test
  void vocabulariesAreFoundFromAnyFolder() throws Exception {
    for (String name : new String[] {"texts.json", "llama2.json"}) {
      Files.copy(RECORDED.resolve(name), folder.resolve(name));
    }
    Process conformance =
        new ProcessBuilder(
                SmallJvm.command(Main.class, "conformance", ".", "--device", "reference"))
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .start();
    String out = new String(conformance.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, conformance.waitFor(), out);
    assertTrue(out.contains("ok   llama2/prefix: "), out);
  }

  @Test
  void aTextThatGivesOtherTokensFails() throws IOException {
    Files.copy(RECORDED.resolve("texts.json"), folder.resolve("texts.json"));
    Files.createDirectory(folder.resolve("gguf_vocab"));
    Files.copy(RECORDED.resolve("gguf_vocab/spm.gguf"), folder.resolve("gguf_vocab/spm.gguf"));
    Files.writeString(
        folder.resolve("other.json"),
        """
        {"vocabularies": {
          "spm": {"file": "gguf_vocab/spm.gguf", "cases": {"space": {"ids": [1, 2]}}},
          "not": {"file": "texts.json", "cases": {"space": {"ids": [1, 2]}}}}}
        """);
    Files.writeString(folder.resolve("damaged.json"), "{");
    CommandRun run = run(folder);
    assertEquals(1, run.exitCode());
    List<String> lines = run.out().lines().toList();
    assertTrue(lines.get(0).startsWith("FAIL damaged: "), run.out());
    assertTrue(lines.get(1).startsWith("FAIL other/spm/space: ids"), run.out());
    assertTrue(
        lines.get(2).startsWith("FAIL other/not/space: " + folder.resolve("texts.json"))
            && lines.get(2).contains("not GGUF"),
        lines.get(2));
    assertEquals("0 passed, 3 failed", lines.getLast());
  }

  @Test
  void anAbsentVocabularyFailsWithTheScriptThatFetchesIt() throws IOException {
    Files.copy(RECORDED.resolve("texts.json"), folder.resolve("texts.json"));
    Files.copy(RECORDED.resolve("llama2.json"), folder.resolve("llama1.json"));
    CommandRun run = run(folder);
    assertEquals(1, run.exitCode());
    List<String> lines = run.out().lines().toList();
    assertTrue(lines.getFirst().startsWith("FAIL llama1/prefix: "), lines.getFirst());
    int cases = lines.size() - 1;
    assertTrue(cases > 10, run.out());
    for (String line : lines.subList(0, cases)) {
      assertTrue(
          line.startsWith("FAIL llama1/")
              && line.endsWith(
                  "llama1.json is absent: run ci/fetch/tokenizers, which fetches it by npm"),
          line);
    }
    assertEquals("0 passed, " + cases + " failed", lines.getLast());
  }

  private static CommandRun run(Path folder) {
    return CommandRun.of("conformance", folder.toString(), "--device", "reference");
  }
}
