package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;

/** Output is the same in every locale; some locales have other digits and letter cases. */
@Tag("slow")
class LocaleTest {
  private static final Pattern FOREIGN_DIGIT = Pattern.compile("[\\p{Nd}&&[^0-9]]");

  private final Locale before = Locale.getDefault();

  @TempDir private Path folder;

  @AfterEach
  void restore() {
    Locale.setDefault(before);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ar-EG-u-nu-arab", "fa-IR", "tr-TR"})
  void allIsWrittenAsInNone(String language) throws IOException {
    Map<String, String> expected = written(Locale.ROOT);
    assertEquals(expected, written(Locale.forLanguageTag(language)));
  }

  /** Times differ from call to call, digits must not. */
  @ParameterizedTest
  @ValueSource(strings = {"ar-EG-u-nu-arab", "fa-IR"})
  void whatIsMeasuredIsToldInThePlainDigits(String language) throws IOException {
    Locale.setDefault(Locale.forLanguageTag(language));
    Path text =
        Files.writeString(
            folder.resolve("text.txt"), "The committee thanks its members.\n".repeat(300));
    String run = folder.resolve("run").toString();
    List<String> said = new ArrayList<>();
    for (String[] command :
        new String[][] {
          {
            "train",
            "--preset",
            "tiny",
            "--steps",
            "2",
            "--ranks",
            "2",
            "--text",
            text.toString(),
            "--out",
            run
          },
          {"train", "--resume", "--out", run},
          {"generate", "--model", run, "--prompt", "The", "--max-tokens", "3"},
        }) {
      CommandRun called = CommandRun.of(command);
      assertEquals(0, called.exitCode(), called.toString());
      said.add(called.out() + called.err());
    }
    said.add(Files.readString(Path.of(run, "metrics.jsonl")));
    said.add(Files.readString(Path.of(run, "report.html")));
    for (String each : said) {
      assertFalse(FOREIGN_DIGIT.matcher(each).find(), each);
    }
  }

  private Map<String, String> written(Locale language) throws IOException {
    Locale.setDefault(language);
    Map<String, String> written = new TreeMap<>();
    Path run = Files.createDirectories(folder.resolve("synthetic"));
    Report.write(SyntheticRun.write(run));
    try (Stream<Path> files = Files.walk(run)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        written.put(
            run.relativize(file).toString(), Files.readString(file, StandardCharsets.UTF_8));
      }
    }
    for (String command :
        List.of(
            "train --preset tiny --ranks 4 --ep 2 --explain-topology",
            "train --threads 0",
            "inspect " + folder)) {
      CommandRun called = CommandRun.of(command.split(" "));
      written.put(command, called.out() + called.err());
    }
    return written;
  }
}
