import { expect, it } from 'vitest';
import type { Catalog } from '../../api';
import { firstRequest } from './first';

const catalog = (changes: Partial<Catalog>): Catalog => ({
  generation: 1,
  version: '0.1.0',
  simulated: true,
  data_plane: 'http://127.0.0.1:8080/',
  classifier: null,
  models: [],
  routers: [],
  ...changes,
});

const router = (name: string) => ({
  name,
  uuid: '',
  description: '',
  editable: true,
  threshold: null,
  tasks: [],
  fallback_models: [],
});

it('asks the router that the sentence is about, where there is one', () => {
  const command = firstRequest(catalog({ routers: [router('general'), router('software-engineering')] }));
  expect(command).toContain('http://127.0.0.1:8080/v1/chat/completions');
  expect(command).toContain('"model":"router:software-engineering"');
  expect(firstRequest(catalog({ routers: [router('general')] }))).toContain('"router:general"');
});

it('asks a model where there is no router', () => {
  const model = {
    name: 'glm-5',
    providers: [],
    price: null,
    context_window: null,
    max_output: null,
    modalities: [],
  };
  expect(firstRequest(catalog({ models: [model] }))).toContain('"model":"glm-5"');
});
