-- Write down what people were told: of which severity, or that it stands no more.
update upkeep.issue as i
set told = m.severity
from jsonb_to_recordset(%(told)s) as m (fingerprint text, severity text)
where i.fingerprint = m.fingerprint;
