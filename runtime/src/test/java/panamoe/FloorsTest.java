package panamoe;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import panamoe.backend.Backends;
import panamoe.testkit.Circles;
import panamoe.testkit.SmallRecords;

/** Imports run one way, down the floors of the house; a layer is as it was made. */
@AnalyzeClasses(packages = "panamoe", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  /** The factory of backends is in the package of their interface, which they implement. */
  @ArchTest
  static final ArchRule NO_CIRCLES =
      Circles.none("panamoe").ignoreDependency(equivalentTo(Backends.class), alwaysTrue());

  @ArchTest
  static final ArchRule SMALL_RECORDS =
      SmallRecords.except("ModelConfig", "Content", "StepMetrics", "Json");

  /** Layers are immutable: weights know where experts are read from. */
  @ArchTest
  static final ArchRule LAYERS_DO_NOT_CHANGE =
      fields().that().areDeclaredInClassesThat().resideInAPackage("panamoe.moe").should().beFinal();

  @ArchTest
  static final ArchRule IMPORTS_RUN_DOWN =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("bindings")
          .definedBy("panamoe.bindings..")
          .layer("io")
          .definedBy("panamoe.io..")
          .layer("blocks")
          .definedBy("panamoe.blocks..")
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
          .layer("config")
          .definedBy("panamoe.config..")
          .layer("param")
          .definedBy("panamoe.param..")
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
          .layer("eval")
          .definedBy("panamoe.eval..")
          .layer("train")
          .definedBy("panamoe.train..")
          .layer("routes")
          .definedBy("panamoe.engine.routes")
          .layer("sample")
          .definedBy("panamoe.engine.sample")
          .layer("engine")
          .definedBy("panamoe.engine")
          .layer("schedule")
          .definedBy("panamoe.engine.schedule")
          .layer("open")
          .definedBy("panamoe.open..")
          .layer("retrieval")
          .definedBy("panamoe.retrieval..")
          .layer("grammar")
          .definedBy("panamoe.grammar..")
          .layer("template")
          .definedBy("panamoe.conversation.template")
          .layer("reply")
          .definedBy("panamoe.conversation.reply")
          .layer("conversation")
          .definedBy("panamoe.conversation")
          .layer("distill")
          .definedBy("panamoe.distill..")
          .layer("edit")
          .definedBy("panamoe.edit..")
          .layer("quantize")
          .definedBy("panamoe.quantize..")
          .layer("plan")
          .definedBy("panamoe.plan..")
          .layer("runtimekernel")
          .definedBy("panamoe.runtimekernel..")
          .whereLayer("bindings")
          .mayOnlyBeAccessedByLayers("tensor", "comm", "backend", "runtimekernel")
          .whereLayer("blocks")
          .mayOnlyBeAccessedByLayers("tensor", "backend", "checkpoint", "quantize")
          .whereLayer("comm")
          .mayOnlyBeAccessedByLayers(
              "parallel",
              "op",
              "param",
              "nn",
              "moe",
              "checkpoint",
              "model",
              "train",
              "schedule",
              "open",
              "plan")
          .whereLayer("parallel")
          .mayOnlyBeAccessedByLayers(
              "op", "param", "nn", "moe", "model", "train", "schedule", "open", "plan")
          .whereLayer("backend")
          .mayOnlyBeAccessedByLayers(
              "parallel",
              "op",
              "config",
              "param",
              "nn",
              "moe",
              "checkpoint",
              "model",
              "eval",
              "train",
              "routes",
              "sample",
              "schedule",
              "open",
              "distill",
              "edit",
              "runtimekernel",
              "quantize",
              "retrieval")
          .whereLayer("op")
          .mayOnlyBeAccessedByLayers(
              "param",
              "nn",
              "moe",
              "model",
              "eval",
              "train",
              "routes",
              "schedule",
              "distill",
              "edit",
              "quantize",
              "retrieval")
          .whereLayer("config")
          .mayOnlyBeAccessedByLayers(
              "param",
              "nn",
              "moe",
              "model",
              "eval",
              "train",
              "routes",
              "schedule",
              "open",
              "distill",
              "edit",
              "runtimekernel",
              "quantize",
              "plan",
              "retrieval")
          .whereLayer("param")
          .mayOnlyBeAccessedByLayers(
              "nn", "moe", "model", "train", "schedule", "open", "quantize", "plan")
          .whereLayer("nn")
          .mayOnlyBeAccessedByLayers(
              "moe", "model", "eval", "train", "schedule", "quantize", "plan")
          .whereLayer("moe")
          .mayOnlyBeAccessedByLayers("model", "train", "schedule", "open", "runtimekernel", "plan")
          .whereLayer("checkpoint")
          .mayOnlyBeAccessedByLayers(
              "model", "train", "open", "distill", "edit", "quantize", "retrieval")
          .whereLayer("data")
          .mayOnlyBeAccessedByLayers(
              "eval",
              "train",
              "engine",
              "schedule",
              "open",
              "grammar",
              "template",
              "reply",
              "conversation",
              "distill",
              "quantize",
              "retrieval")
          .whereLayer("model")
          .mayOnlyBeAccessedByLayers(
              "eval",
              "train",
              "schedule",
              "open",
              "distill",
              "edit",
              "runtimekernel",
              "quantize",
              "plan",
              "retrieval")
          .whereLayer("eval")
          .mayOnlyBeAccessedByLayers("train", "quantize")
          .whereLayer("train")
          .mayOnlyBeAccessedByLayers("distill", "plan")
          .whereLayer("routes")
          .mayOnlyBeAccessedByLayers("train", "engine", "schedule", "open")
          .whereLayer("sample")
          .mayOnlyBeAccessedByLayers(
              "engine",
              "schedule",
              "open",
              "grammar",
              "conversation",
              "retrieval",
              "distill",
              "eval")
          .whereLayer("engine")
          .mayOnlyBeAccessedByLayers(
              "schedule", "conversation", "open", "plan", "retrieval", "distill", "eval")
          .whereLayer("schedule")
          .mayOnlyBeAccessedByLayers("retrieval", "distill", "eval")
          .whereLayer("open")
          .mayOnlyBeAccessedByLayers("train", "distill", "quantize", "plan", "retrieval")
          .whereLayer("retrieval")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("grammar")
          .mayOnlyBeAccessedByLayers("reply", "conversation")
          .whereLayer("template")
          .mayOnlyBeAccessedByLayers("reply", "conversation", "open")
          .whereLayer("reply")
          .mayOnlyBeAccessedByLayers("conversation")
          .whereLayer("conversation")
          .mayOnlyBeAccessedByLayers("open")
          .whereLayer("distill")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("edit")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("quantize")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("plan")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("runtimekernel")
          .mayNotBeAccessedByAnyLayer();
}
