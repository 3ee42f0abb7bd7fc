package panamoe.lab;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import panamoe.testkit.Circles;
import panamoe.testkit.SmallRecords;

@AnalyzeClasses(packages = "panamoe.lab", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  @ArchTest static final ArchRule NO_CIRCLES = Circles.none("panamoe.lab");

  @ArchTest
  static final ArchRule SMALL_RECORDS = SmallRecords.except("Work", "Latency", "LoadResult");
}
