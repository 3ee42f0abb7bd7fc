package panamoe.lab;

import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** No packages of this module import each other in a circle. */
@AnalyzeClasses(packages = "panamoe.lab", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  @ArchTest
  static final ArchRule NO_CIRCLES =
      slices().matching("panamoe.lab.(**)").should().beFreeOfCycles();
}
