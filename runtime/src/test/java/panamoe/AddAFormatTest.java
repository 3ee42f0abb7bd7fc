package panamoe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.StoredType;

/** docs/add-a-format.md lists the files that name a block format, and no other does. */
class AddAFormatTest {
  private static final Path ROOT = Path.of("..");
  private static final String SHOWN = "MXFP4";
  private static final String FORMATS = "runtime/src/main/java/panamoe/blocks/";

  /** What ci/cuda.d/compile --record writes. */
  private static final String RECORDED = "native/cuda/resources";

  private static final Pattern STEP = Pattern.compile("(?m)^\\d+\\. `([^`]+)`");
  private static final Pattern COMMENT = Pattern.compile("//[^\n]*|/\\*.*?\\*/", Pattern.DOTALL);

  /** The product's sources by the formats that they name outside of comments. */
  private static Map<String, Set<String>> naming() throws IOException {
    Pattern name =
        Pattern.compile(
            StoredType.values().stream()
                .filter(type -> type.elements() > 1)
                .map(StoredType::name)
                .collect(Collectors.joining("|", "(?<!\\w)(?:MOE_)?(", ")(?!\\w)")));
    Map<String, Set<String>> naming = new TreeMap<>();
    for (String folder :
        List.of(
            "native/include",
            "native/core",
            "native/abi",
            "native/cpu",
            "native/cuda",
            "runtime/src/main/java",
            "java-api/src/main/java",
            "text/src/main/java",
            "djl/src/main/java",
            "harness/src/main/java")) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          String code = COMMENT.matcher(Files.readString(file)).replaceAll("");
          name.matcher(code)
              .results()
              .forEach(
                  found ->
                      naming
                          .computeIfAbsent(
                              ROOT.relativize(file).toString().replace('\\', '/'),
                              _ -> new TreeSet<>())
                          .add(found.group(1)));
        }
      }
    }
    return naming;
  }

  @Test
  void theFilesOfAFormatAreListedAndNoOtherNamesOne() throws IOException {
    Set<String> listed =
        STEP.matcher(Files.readString(ROOT.resolve("docs/add-a-format.md")))
            .results()
            .map((MatchResult step) -> step.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    assertTrue(listed.size() <= 6, listed.toString());
    Map<String, Set<String>> naming = naming();
    Set<String> shown = new TreeSet<>(naming.keySet());
    shown.removeIf(file -> !naming.get(file).contains(SHOWN));
    assertEquals(listed, shown);
    naming
        .keySet()
        .removeIf(
            file -> listed.contains(file) || file.startsWith(FORMATS) || file.equals(RECORDED));
    assertEquals(Map.of(), naming);
  }
}
