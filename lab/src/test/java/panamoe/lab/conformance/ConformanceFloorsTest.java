package panamoe.lab.conformance;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The command knows the peers, the peers know how to replay, and no peer knows another. */
@AnalyzeClasses(
    packages = "panamoe.lab.conformance",
    importOptions = ImportOption.DoNotIncludeTests.class)
class ConformanceFloorsTest {
  private static final String ROOT = "panamoe.lab.conformance";

  @ArchTest
  static final ArchRule IMPORTS_RUN_DOWN =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("command")
          .definedBy(ROOT)
          .layer("deepspeed")
          .definedBy(ROOT + ".deepspeed..")
          .layer("transformers")
          .definedBy(ROOT + ".transformers..")
          .layer("megablocks")
          .definedBy(ROOT + ".megablocks..")
          .layer("tutel")
          .definedBy(ROOT + ".tutel..")
          .layer("torch")
          .definedBy(ROOT + ".torch..")
          .layer("tokenizers")
          .definedBy(ROOT + ".tokenizers..")
          .layer("replay")
          .definedBy(ROOT + ".replay..")
          .whereLayer("command")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("deepspeed")
          .mayOnlyBeAccessedByLayers("command")
          .whereLayer("transformers")
          .mayOnlyBeAccessedByLayers("command")
          .whereLayer("megablocks")
          .mayOnlyBeAccessedByLayers("command")
          .whereLayer("tutel")
          .mayOnlyBeAccessedByLayers("command")
          .whereLayer("torch")
          .mayOnlyBeAccessedByLayers("command")
          .whereLayer("tokenizers")
          .mayOnlyBeAccessedByLayers("command");
}
