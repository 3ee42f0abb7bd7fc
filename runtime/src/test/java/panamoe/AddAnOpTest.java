package panamoe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.backend.GateSettings.Score;

/** docs/add-an-op.md lists the files that name RMSNorm, or a score of the gate, and no other. */
class AddAnOpTest {
  private static final Path ROOT = Path.of("..");
  private static final String SCORE_HEADING = "\n## A gate score\n";
  // Keys of released models' configurations: rms_norm_eps, vit_used_rms_norm.
  private static final Pattern OP = Pattern.compile("(?<!used_)rms_norm(?!_eps)|[rR]msNorm");
  // A file that compares with one score decides by it, as if there were no third.
  private static final Pattern SCORE =
      Pattern.compile(
          Arrays.stream(Score.values())
              .map(score -> (score == Score.SOFTMAX ? "[=!]= *(?:\\w+\\.)*(?:MOE_)?" : "") + score)
              .collect(Collectors.joining("|", "(?:", ")\\b")));
  private static final Pattern LISTED =
      Pattern.compile("`((?:native|runtime)/[\\w/-]+\\.(?:h|cc|cu|java))`");

  @Test
  void everyFileOfAnOpIsListed() throws IOException {
    assertLists(page()[0], OP);
  }

  @Test
  void everyFileOfAGateScoreIsListed() throws IOException {
    assertLists(page()[1], SCORE);
  }

  private static String[] page() throws IOException {
    return Files.readString(ROOT.resolve("docs/add-an-op.md")).split(SCORE_HEADING, 2);
  }

  private static void assertLists(String text, Pattern concept) throws IOException {
    TreeSet<String> listed =
        LISTED
            .matcher(text)
            .results()
            .map((MatchResult file) -> file.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    TreeSet<String> naming = new TreeSet<>();
    for (String folder :
        new String[] {
          "native/include",
          "native/core",
          "native/abi",
          "native/cpu",
          "native/cuda",
          "runtime/src/main/java",
          "java-api/src/main/java",
          "harness/src/main/java"
        }) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
        files
            .filter(Files::isRegularFile)
            .filter(file -> names(file, concept))
            .forEach(file -> naming.add(ROOT.relativize(file).toString().replace('\\', '/')));
      }
    }
    // Of tests only those that every op or score has are listed; others may name it, too.
    listed.stream()
        .filter(file -> file.contains("test"))
        .filter(file -> names(ROOT.resolve(file), concept))
        .forEach(naming::add);
    assertEquals(naming, listed);
  }

  private static boolean names(Path file, Pattern concept) {
    try {
      return concept.matcher(Files.readString(file)).find();
    } catch (IOException e) {
      return false;
    }
  }
}
