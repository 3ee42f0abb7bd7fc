package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import panamoe.lab.conformance.replay.GoldenFile;

/**
 * The recorded cases of this project, on every backend under test ({@code
 * -Dpanamoe.test.backends}); {@link EmulatedCasesTest} has the emulation, which is slow.
 */
class RecordedCasesTest {
  static Path folder() {
    return Path.of("golden");
  }

  @TestFactory
  Stream<DynamicTest> everyCasePasses() throws IOException {
    return casesOn(device -> !device.equals("simt"));
  }

  static Stream<DynamicTest> casesOn(Predicate<String> devices) throws IOException {
    Path folder = folder();
    List<Path> cases = Conformance.cases(folder);
    return Stream.of(System.getProperty("panamoe.test.backends", "reference,cpu,simt").split(","))
        .filter(devices)
        .flatMap(
            device ->
                cases.stream()
                    .map(
                        file ->
                            DynamicTest.dynamicTest(
                                device + " " + folder.relativize(file),
                                () -> assertPasses(folder, device, file))));
  }

  private static void assertPasses(Path folder, String device, Path file) {
    try (Backend backend = Backends.open(device, 2)) {
      CaseResult result = new Conformance(folder, backend, CaseKinds::of).replay(file);
      assertTrue(result.passed(), result.line());
    }
  }

  @Test
  void everyKindHasACase() throws IOException {
    TreeSet<String> missing = new TreeSet<>(CaseKinds.BY_OP.keySet());
    for (Path file : Conformance.cases(folder())) {
      try (GoldenFile golden = new GoldenFile(file)) {
        missing.remove(golden.kind());
      }
    }
    assertTrue(missing.isEmpty(), "no recorded case of " + missing);
    assertFalse(CaseKinds.BY_OP.keySet().isEmpty());
  }
}
