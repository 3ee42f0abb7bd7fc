package panamoe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** docs/add-an-op.md lists the files that name RMSNorm, and no other. */
class AddAnOpTest {
  private static final Path ROOT = Path.of("..");
  // rms_norm_eps is a key of released models' configurations.
  private static final Pattern OP = Pattern.compile("rms_norm(?!_eps)|[rR]msNorm");
  private static final Pattern LISTED =
      Pattern.compile("`((?:native|runtime)/[\\w/-]+\\.(?:h|cc|cu|java))`");

  @Test
  void everyFileOfAnOpIsListed() throws IOException {
    String text = Files.readString(ROOT.resolve("docs/add-an-op.md"));
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
          "runtime/src/main/java"
        }) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
        files
            .filter(Files::isRegularFile)
            .filter(AddAnOpTest::namesTheOp)
            .forEach(file -> naming.add(ROOT.relativize(file).toString().replace('\\', '/')));
      }
    }
    // Of tests only those that every op has are listed; others may call it, too.
    listed.stream()
        .filter(file -> file.contains("test"))
        .filter(file -> namesTheOp(ROOT.resolve(file)))
        .forEach(naming::add);
    assertEquals(naming, listed);
  }

  private static boolean namesTheOp(Path file) {
    try {
      return OP.matcher(Files.readString(file)).find();
    } catch (IOException e) {
      return false;
    }
  }
}
