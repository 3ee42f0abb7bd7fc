package panamoe.harness;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import panamoe.testkit.Circles;

@AnalyzeClasses(packages = "panamoe.harness", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  @ArchTest static final ArchRule NO_CIRCLES = Circles.none("panamoe.harness");
}
