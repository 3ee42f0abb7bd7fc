package panamoe.lab.conformance;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Tests the dependencies of packages: a peer's package uses replay and no other peer. */
@AnalyzeClasses(
    packages = "panamoe.lab.conformance",
    importOptions = ImportOption.DoNotIncludeTests.class)
class ConformanceFloorsTest {
  private static final String ROOT = "panamoe.lab.conformance";

  @ArchTest
  static final ArchRule PEERS_KNOW_NO_OTHER =
      slices()
          .matching(ROOT + ".(*)..")
          .should()
          .notDependOnEachOther()
          .ignoreDependency(alwaysTrue(), resideInAPackage(ROOT + ".replay"));
}
