package panamoe.lab.conformance;

import java.io.IOException;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** {@link RecordedCasesTest} on the emulation of CUDA. */
@Tag("slow")
class EmulatedCasesTest {
  @TestFactory
  Stream<DynamicTest> everyCasePasses() throws IOException {
    return RecordedCasesTest.casesOn("simt"::equals);
  }
}
