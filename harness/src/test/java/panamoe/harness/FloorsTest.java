package panamoe.harness;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;
import panamoe.testkit.Circles;

@AnalyzeClasses(packages = "panamoe.harness", importOptions = ImportOption.DoNotIncludeTests.class)
class FloorsTest {
  @ArchTest static final ArchRule NO_CIRCLES = Circles.none("panamoe.harness");

  /** No API of the server uses another one, and what they share knows none of them. */
  @ArchTest
  static final ArchRule APIS_ARE_APART =
      List.of("openai", "responses", "messages", "ollama", "reading", "replay").stream()
          .reduce(
              layeredArchitecture()
                  .consideringOnlyDependenciesInLayers()
                  .layer("command")
                  .definedBy("panamoe.harness.serve")
                  .layer("completion")
                  .definedBy("panamoe.harness.serve.completion")
                  .layer("log")
                  .definedBy("panamoe.harness.serve.log")
                  .layer("model")
                  .definedBy("panamoe.harness.serve.model")
                  .layer("http")
                  .definedBy("panamoe.harness.serve.http")
                  .whereLayer("http")
                  .mayNotAccessAnyLayer()
                  .whereLayer("model")
                  .mayOnlyAccessLayers("http")
                  .whereLayer("log")
                  .mayOnlyAccessLayers("model", "http")
                  .whereLayer("completion")
                  .mayOnlyAccessLayers("log", "model", "http"),
              (floors, api) ->
                  floors
                      .layer(api)
                      .definedBy("panamoe.harness.serve." + api)
                      .whereLayer(api)
                      .mayOnlyBeAccessedByLayers("command"),
              (floors, _) -> floors);
}
