package panamoe.api;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import panamoe.api.internal.Failures;
import panamoe.testkit.Circles;
import panamoe.testkit.SmallRecords;

@AnalyzeClasses(packages = "panamoe.api", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  /** Shared internals depend on nothing of the facade except its exceptions. */
  @ArchTest
  static final ArchRule NO_CIRCLES =
      Circles.none("panamoe.api")
          .ignoreDependency(equivalentTo(Failures.class), assignableTo(PanamoeException.class));

  @ArchTest static final ArchRule SMALL_RECORDS = SmallRecords.except();
}
