package panamoe;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Imports run one way: down the floors of the house. */
@AnalyzeClasses(packages = "panamoe", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  @ArchTest
  static final ArchRule IMPORTS_RUN_DOWN =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("bindings")
          .definedBy("panamoe.bindings..")
          .layer("io")
          .definedBy("panamoe.io..")
          .layer("tensor")
          .definedBy("panamoe.tensor..")
          .layer("comm")
          .definedBy("panamoe.comm..")
          .layer("parallel")
          .definedBy("panamoe.parallel..")
          .layer("backend")
          .definedBy("panamoe.backend..")
          .layer("op")
          .definedBy("panamoe.op..")
          .layer("nn")
          .definedBy("panamoe.nn..")
          .layer("moe")
          .definedBy("panamoe.moe..")
          .layer("checkpoint")
          .definedBy("panamoe.checkpoint..")
          .layer("data")
          .definedBy("panamoe.data..")
          .layer("model")
          .definedBy("panamoe.model..")
          .layer("train")
          .definedBy("panamoe.train..")
          .layer("generate")
          .definedBy("panamoe.generate..")
          .layer("rtc")
          .definedBy("panamoe.rtc..")
          .whereLayer("bindings")
          .mayOnlyBeAccessedByLayers("tensor", "comm", "backend", "rtc")
          .whereLayer("io")
          .mayOnlyBeAccessedByLayers("checkpoint", "data", "model", "rtc")
          .whereLayer("comm")
          .mayOnlyBeAccessedByLayers("parallel", "op", "nn", "moe", "checkpoint", "model", "train")
          .whereLayer("parallel")
          .mayOnlyBeAccessedByLayers("op", "nn", "moe", "model", "train")
          .whereLayer("backend")
          .mayOnlyBeAccessedByLayers("op", "nn", "moe", "model", "train", "generate", "rtc")
          .whereLayer("op")
          .mayOnlyBeAccessedByLayers("nn", "moe", "model", "train", "generate")
          .whereLayer("nn")
          .mayOnlyBeAccessedByLayers("moe", "model", "train", "generate")
          .whereLayer("moe")
          .mayOnlyBeAccessedByLayers("model", "train", "generate", "rtc")
          .whereLayer("checkpoint")
          .mayOnlyBeAccessedByLayers("model", "train", "generate")
          .whereLayer("data")
          .mayOnlyBeAccessedByLayers("train", "generate")
          .whereLayer("model")
          .mayOnlyBeAccessedByLayers("train", "generate", "rtc")
          .whereLayer("train")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("generate")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("rtc")
          .mayNotBeAccessedByAnyLayer();
}
